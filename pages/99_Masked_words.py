"""Where Words in context lay before: old links still lead to it, with all that they carry."""

from subemb.ui.pages.context.page import lead_here

lead_here()
