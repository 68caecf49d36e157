"""What people request by hand, on the status page: to stay up, to sleep, and what has been requested."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.requests.model import UNREADABLE
from powerd.ui.html import EMPTY, Html, PageContext, button, controls, item_list, key, note
from powerd.ui.layout import format_time, join_names

if TYPE_CHECKING:
    from powerd.ui.schema import KeepAwakeJson, SleepRequestJson, StatusJson

_REQUEST: Final = Html(
    '<li id="{}"><div class="line request"><span class="name"><b>{}</b> <small>{}</small></span>{}</div>'
    "</li>\n"
)
_LOGIN: Final = Html(
    '<details class="login"><summary>Controls</summary>'
    '<form method="post" action="{}"><label for="secret">Token</label> '
    '<input type="password" id="secret" name="secret" autocomplete="current-password" required>'
    "<button>Log in</button></form>{}</details>\n"
)
_SIGN_IN_NOTE: Final = (
    "The token is the secret in http.token_file; this browser needs it once. "
    "Without it the page has no controls."
)
_READ_ONLY_NOTE: Final = "To control powerd from this page, set http.token_file in the configuration."
_BECAUSE: Final = "requested on the status page"
_SLEEP: Final = Html('<details class="login"><summary>Put to sleep</summary>{}{}</details>\n')
_SLEEP_NOTE: Final = (
    "The first waits until no client is present; the second does not wait for clients. Both wait for work in "
    "progress, and announce the sleep before."
)
_OBSERVE_NOTE: Final = " In observe mode powerd only shows when it would sleep."
_PRIMARY: Final = Html('<div class="primary">{}</div>')
_STAY_UP: Final = ("1h", "2h", "8h")
_MAX_NAMES: Final = 3


def server_controls(
    status: StatusJson, blockers: list[str], now: datetime, page: PageContext, *, can_sleep: bool
) -> Html:
    """The controls of the server, or what is needed for them.

    Args:
        status: of the API.
        blockers: the names of what keeps the server awake.
        now: the server's time.
        page: its reader.
        can_sleep: a rule can act; otherwise a request to sleep is refused.
    """
    if not page.may_write:
        return _LOGIN.format(page.login_url, note(_SIGN_IN_NOTE)) if page.login_url else note(_READ_ONLY_NOTE)
    request = status["sleep_request"]
    stay_up = [
        button(page, ("keep",), f"{hours[:-1]} h", {"for": hours, "because": _BECAUSE}, name="Keep awake for")
        for hours in _STAY_UP
    ]
    rows = [_keep_row(keep, now, page) for keep in status["keep_awake"]]
    if request is not None:
        rows.append(_sleep_request_row(request, blockers, now, page))
    return (
        (
            _PRIMARY.format(controls("Cancel, and keep awake for", *stay_up))
            if status["state"] == "warning"
            else controls("Keep awake for", *stay_up)
        )
        + (item_list(rows) if rows else EMPTY)
        + (_sleep_form(status, page) if request is None and can_sleep else EMPTY)
    )


def _sleep_form(status: StatusJson, page: PageContext) -> Html:
    """The buttons that put the server to sleep, shown after a first click, with a description."""
    if status["state"] in {"starting", "going-down"}:
        return EMPTY
    when_idle = button(page, ("sleep",), "Sleep when nothing needs it", {"now": "false"})
    text = _SLEEP_NOTE + (_OBSERVE_NOTE if status["mode"] == "observe" else "")
    return _SLEEP.format(note(text), controls(when_idle, _sleep_now(page)))


def _sleep_now(page: PageContext) -> Html:
    return button(page, ("sleep",), "Sleep now", {"now": "true"})


def _sleep_request_row(
    request: SleepRequestJson, blockers: list[str], now: datetime, page: PageContext
) -> Html:
    """What a requested sleep waits for; buttons that end the request, and that no longer wait for clients."""
    until = format_time(datetime.fromisoformat(request["until"]), now)
    what = (
        f"waits for {join_names(tuple(dict.fromkeys(blockers)), _MAX_NAMES)}"
        if blockers
        else "nothing keeps the server awake"
    )
    buttons = button(page, ("sleep",), "Cancel", method="DELETE")
    if blockers and not request["now"]:
        buttons += _sleep_now(page)
    return _REQUEST.format(
        "sleep-request", "Sleep requested", f"{what}; the request ends at {until}", controls(buttons)
    )


def _keep_row(keep: KeepAwakeJson, now: datetime, page: PageContext) -> Html:
    """A request to stay up, with the button that ends it; a hold ends with its command only."""
    is_hold = keep["until"] is None and keep["id"] != UNREADABLE
    until = f" until {format_time(datetime.fromisoformat(keep['until']), now)}" if keep["until"] else ""
    end = button(page, ("keep", keep["id"]), "End", method="DELETE", name=keep["because"])
    title = "Kept awake by a command" if is_hold else f"Kept awake{until}"
    return _REQUEST.format(key("keep", keep["id"]), title, keep["because"], EMPTY if is_hold else end)
