"""One visitor: speaks Streamlit's protobuf over its websocket as a browser does, and measures what every script run costs.

Like a browser it sends the state of every widget with each request, names messages that it still has so that the server sends only
their hash, runs fragments again when the server says so, and takes up the widgets of whatever page it is on.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

PATIENCE_SECONDS = 60.0  # after so long a script run counts as an error
REMEMBERED_RUNS = 2  # runs of the script for which a browser keeps large messages, as Streamlit's own limit
#: Field of WidgetState that carries the value of a widget, by the type of its element.
_VALUE_FIELDS = {
    "button": "trigger_value",
    "checkbox": "bool_value",
    "number_input": "double_value",
    "selectbox": "string_value",
    "radio": "string_value",
    "text_input": "string_value",
    "text_area": "string_value",
    "button_group": "string_array_value",
    "multiselect": "string_array_value",
    "file_uploader": "file_uploader_state_value",
}


@dataclass(frozen=True)
class Measured:
    """One script run, from the request to its end."""

    what: str  # what the visitor did
    seconds: float  # until the script was over
    bytes: int  # sent to the visitor meanwhile
    polled: bool  # whether the server asked for it: a fragment that shows progress
    error: str | None = None  # what went wrong


@dataclass
class Widget:
    """A widget on the page."""

    id: str
    field: str  # of WidgetState
    fragment: str  # id of the fragment it stands in; empty for none
    run: int  # the run of the script that drew it last


@dataclass
class Visitor:
    """One tab of a browser. address: host and port."""

    address: str
    measured: list[Measured] = field(default_factory=list)
    sizes: dict[str, list[int]] = field(default_factory=dict)  # kind of message -> bytes of each
    page: str = ""

    async def __aenter__(self) -> "Visitor":
        self._widgets: dict[str, Widget] = {}  # by key
        self._states: dict[str, tuple[str, Any]] = {}  # widget id -> (field, value)
        self._remembered: dict[str, int] = {}  # hash of a message -> run in which it came last
        self._polls: dict[str, float] = {}  # fragment -> seconds between two runs
        self._pages: dict[str, str] = {}  # name in the address -> hash
        self._query = ""
        self._run = 0
        self._finished: asyncio.Queue[int | None] = asyncio.Queue()  # how runs ended; None: the connection did
        self._places: asyncio.Queue[Any] = asyncio.Queue()  # where files are to be sent
        self._bytes, self._errors = 0, []
        self._socket = await websockets.connect(
            f"ws://{self.address}/_stcore/stream",
            subprotocols=["streamlit"],
            additional_headers={"Cookie": f"subemb_visitor={secrets.token_hex(16)}"},  # a browser of its own
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await self._socket.close()

    # What a visitor does

    async def open(self, page: str = "", **query: str) -> None:
        """Go to a page by its name in the address; without parameters the link of the page shown is carried along."""
        self._query = urlencode(query) if query else self._query
        self.page = page
        message = self._request()
        message.rerun_script.page_name = page
        if page in self._pages:
            message.rerun_script.page_script_hash = self._pages[page]
        await self._ask(message, f"open {page or 'Home'}")

    async def set(self, key: str, value: Any = True) -> None:
        """Change a widget, or press a button, by its key. Raises LookupError if the page does not have it."""
        widget = self._widgets.get(key)
        if widget is None:
            wrong = self.measured[-1].error if self.measured else None  # a page that was not over in time has not drawn it yet
            raise LookupError(wrong or f"there is no widget {key} on {self.page or 'Home'}: {sorted(self._widgets)}")
        if widget.field == "string_array_value" and isinstance(value, str):
            value = [value]  # one of several, chosen
        if widget.field != "trigger_value":
            self._states[widget.id] = (widget.field, value)
        message = self._request(pressed=widget.id if widget.field == "trigger_value" else None)
        message.rerun_script.fragment_id = widget.fragment
        await self._ask(message, f"{self.page or 'Home'}: {key}")

    async def give(self, key: str, name: str, content: bytes) -> str | None:
        """Give a file to an uploader by its key, as the browser does: ask where to send it, send it, and say that it is there.

        Returns why the server refused it, or None. Raises LookupError as :meth:`set`.
        """
        widget = self._widgets.get(key)
        if widget is None:
            raise LookupError(f"there is no uploader {key} on {self.page or 'Home'}: {sorted(self._widgets)}")
        request = BackMsg()
        request.file_urls_request.request_id = key
        request.file_urls_request.file_names.append(name)
        await self._socket.send(request.SerializeToString())
        place = await asyncio.wait_for(self._places.get(), PATIENCE_SECONDS)
        refused = await asyncio.to_thread(self._send_file, place.upload_url, name, content)
        if refused is not None:
            return refused
        state = FileUploaderState()
        entry = state.uploaded_file_info.add(name=name, size=len(content), file_id=place.file_id)
        entry.file_urls.CopyFrom(place)
        self._states[widget.id] = (widget.field, state)
        message = self._request()
        message.rerun_script.fragment_id = widget.fragment
        await self._ask(message, f"{self.page or 'Home'}: {key}")
        return None

    def _send_file(self, place: str, name: str, content: bytes) -> str | None:
        with requests.Session() as browser:
            browser.get(
                f"http://{self.address}/_stcore/health", timeout=PATIENCE_SECONDS
            )  # gives the cookie against forged requests
            headers = {"X-Xsrftoken": browser.cookies.get("_streamlit_xsrf") or ""}
            files = {name: (name, content)}
            found = browser.put(f"http://{self.address}{place}", files=files, headers=headers, timeout=PATIENCE_SECONDS)
        return None if found.ok else f"{found.status_code}: {found.text}"

    async def think(self, seconds: float) -> None:
        """Do nothing for a while; fragments that show progress run meanwhile, as the server asked."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self._polls:
                await asyncio.sleep(min(0.2, max(0.0, until - time.monotonic())))
                continue
            fragment, every = next(iter(self._polls.items()))
            await asyncio.sleep(every)
            if fragment not in self._polls:  # the whole page was drawn meanwhile
                continue
            message = self._request()
            message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
            await self._ask(message, f"{self.page or 'Home'}: progress", polled=True)

    @property
    def waits(self) -> bool:
        """Whether the page shows progress."""
        return bool(self._polls)

    def has(self, key: str) -> bool:
        """Whether the page has a widget."""
        return key in self._widgets

    # The protocol

    def _request(self, pressed: str | None = None) -> BackMsg:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._query
        state.page_script_hash = self._pages.get(self.page, "")
        state.cached_message_hashes.extend(self._remembered)
        state.context_info.timezone, state.context_info.locale = "Europe/Berlin", "en-GB"
        for widget, (name, value) in self._states.items():
            entry = state.widget_states.widgets.add(id=widget)
            if name == "string_array_value":
                entry.string_array_value.data.extend(value)
            elif name == "file_uploader_state_value":
                entry.file_uploader_state_value.CopyFrom(value)
            else:
                setattr(entry, name, value)
        if pressed is not None:
            state.widget_states.widgets.add(id=pressed, trigger_value=True)
        return message

    async def _ask(self, message: BackMsg, what: str, polled: bool = False) -> None:
        """Send a request, and wait until its script run is over."""
        while not self._finished.empty():
            self._finished.get_nowait()
        self._bytes, self._errors = 0, []
        started, error = time.monotonic(), None
        try:
            await self._socket.send(message.SerializeToString())
            await asyncio.wait_for(self._until_over(), PATIENCE_SECONDS)
        except TimeoutError:
            error = f"not over after {PATIENCE_SECONDS:g} s"
        except websockets.ConnectionClosed as closed:
            error = f"connection closed: {closed}"
        error = error or (self._errors[0] if self._errors else None)
        if error is not None:
            self._polls.clear()  # a page that does not answer is not asked again
        self.measured.append(Measured(what, time.monotonic() - started, self._bytes, polled, error))

    async def _until_over(self) -> None:
        """Until a run ends that is not followed by another at once."""
        while True:
            kind = await self._finished.get()
            if kind is None:
                raise websockets.ConnectionClosedError(None, None)
            if kind != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                message = ForwardMsg()
                message.ParseFromString(data)
                self._bytes += len(data)
                self._take(message, len(data))
        finally:
            self._finished.put_nowait(None)

    def _take(self, message: ForwardMsg, size: int) -> None:
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            name = f"element {message.delta.new_element.WhichOneof('type')}"
        else:
            name = kind
        self.sizes.setdefault(name, []).append(size)
        if message.hash and message.metadata.cacheable:
            self._remembered[message.hash] = self._run
        if kind == "ref_hash":
            self._remembered[message.ref_hash] = self._run
        elif kind == "new_session":
            self._begin(message)
        elif kind == "navigation":
            for page in message.navigation.app_pages:
                self._pages["" if page.is_default else page.url_pathname] = page.page_script_hash
        elif kind == "delta":
            self._draw(message)
        elif kind == "auto_rerun":
            self._polls[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._polls.pop(fragment, None)
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "session_event" and message.session_event.WhichOneof("type") == "script_compilation_exception":
            self._errors.append("a script does not compile")
        elif kind == "file_urls_response":
            self._places.put_nowait(message.file_urls_response.file_urls[0])
        elif kind == "script_finished":
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self._forget()
            self._finished.put_nowait(message.script_finished)

    def _begin(self, message: ForwardMsg) -> None:
        if not message.metadata.run.fragment_ids:  # the whole script, not a fragment
            self._run += 1
            self._polls.clear()

    def _draw(self, message: ForwardMsg) -> None:
        if message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            name = element.WhichOneof("type")
            drawn = getattr(element, name)
            if name == "exception":
                self._errors.append(f"exception: {drawn.message[:200]}")
            elif name == "alert" and drawn.format == type(drawn).ERROR:
                self._errors.append(f"error: {drawn.body[:200]}")
            self._add(getattr(drawn, "id", ""), _VALUE_FIELDS.get(name), message.delta.fragment_id, drawn)
        elif message.delta.WhichOneof("type") == "add_block":
            block = message.delta.add_block
            if block.WhichOneof("type") == "tab_container":
                self._add(block.id or getattr(block.tab_container, "id", ""), "string_value", message.delta.fragment_id, None)

    def _add(self, identifier: str, field_name: str | None, fragment: str, drawn: Any) -> None:
        """Take up a widget. Its key is the end of its id: ``$$ID-<hash>-<key>``."""
        if not identifier.startswith("$$ID-") or field_name is None:
            return
        key = identifier.split("-", 2)[2]
        self._widgets[key] = Widget(identifier, field_name, fragment, self._run)
        if getattr(drawn, "set_value", False):
            if field_name == "string_array_value":
                self._states[identifier] = (field_name, list(getattr(drawn, "raw_values", ())))
            elif field_name == "string_value" and hasattr(drawn, "raw_value"):
                self._states[identifier] = (field_name, drawn.raw_value)
            elif hasattr(drawn, "value"):
                self._states[identifier] = (field_name, drawn.value)

    def _forget(self) -> None:
        """After the whole script: drop widgets that it did not draw again, and messages that are too old."""
        self._widgets = {key: widget for key, widget in self._widgets.items() if widget.run == self._run}
        alive = {widget.id for widget in self._widgets.values()}
        self._states = {widget: state for widget, state in self._states.items() if widget in alive}
        self._remembered = {one: run for one, run in self._remembered.items() if self._run - run < REMEMBERED_RUNS}
