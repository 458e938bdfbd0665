"""The exceptions that subemb raises for a person to read.

Everything that a user can cause and put right is an :class:`InputError`; its text names the value, the limit and the remedy, so the
pages and the command line show it as it is. Anything else that escapes is a defect of subemb.
"""


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what, why and what to do instead."""


class ModelError(InputError):
    """A model cannot be found, read or downloaded.

    ``reason`` is a short word for programs: ``unknown``, ``invalid_name``, ``gated``, ``offline``, ``interrupted``,
    ``disk_full``, ``no_safetensors``, ``no_tokenizer``, ``broken``, ``bad_table``, ``unsupported``.
    """

    def __init__(self, message: str, reason: str = "broken"):
        super().__init__(message)
        self.reason = reason

    def __reduce__(self):
        # Exceptions cross process borders (subemb.jobs.manager); the default would drop the reason.
        return type(self), (str(self), self.reason)


class Cancelled(Exception):
    """The progress callback asked to stop. What was finished before stays valid."""
