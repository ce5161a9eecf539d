"""The query string holds the choices of a page, so a link, a reload, Back and a new tab show the same.

Streamlit's `bind="query-params"` is not used: Streamlit 1.67 removes every parameter that a page has bound from links
to other pages, and from Back.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from ui.internals import is_back

HERE = "here"
"""Marks a link from a page to itself: the browser passes on the query of such a link, but does not show it."""

INTO = "into"
"""Names the data set that *Bring data* imports: the way back leads to its progress."""

DATA = ("source", "data")
"""The parameters shared by the pages that ask for a data set."""

_PAGE, _CHOSEN, _LEFT, _DATA = "page", "chosen", "left", "data choice"
_IS_IN_USE, _HANDED, _NOTES = "page is in use", "runs with this value", "notes"

UPLOADS = "uploads"
"""The number of uploaded photos that a page shows, in the query string."""

HANDED_RUNS = 2
"""The browser may skip the first of two script runs, so a new value is set in both."""

Options = Collection[str] | Mapping[str, Any] | None
Query = dict[str, str | list[str]]


def arrive(title: str) -> None:
    """Begin a script run of the page called `title`. After a link or Back, widgets follow the address."""
    if st.session_state.get(_PAGE) != title or HERE in st.query_params or is_back():
        st.session_state[_PAGE], st.session_state[_CHOSEN], st.session_state[_HANDED] = title, {}, {}
        st.session_state[_IS_IN_USE], st.session_state[_NOTES] = False, {}
        if HERE in st.query_params:
            del st.query_params[HERE]  # the browser then shows the rest of the query
    st.session_state.setdefault(_LEFT, {})[title] = _query()


def keyed(name: str, options: Options, default: Any, *, key: str | None = None, stays: bool = False) -> dict[str, Any]:
    """Set the value of a widget that the address holds as `name`; return the widget's key and callback.

    The value is, in this order: the choice since the page was opened, the address, `default`. Values that are not in
    `options` are ignored; labels of a mapping count too. A list as default is for a widget with several values. With
    `stays`, the first default is kept while the page is open.
    """
    key = key or name
    _hand(key, _value(name, options, default, stays=stays))
    return {"key": key, "on_change": _choose, "args": (name, key)}


def keyed_ends(name: str, options: Options, default: list[str]) -> list[dict[str, Any]]:
    """Set the values of three widgets that share a list in the address: its first, its last, and those between.

    Return key and callback of each. The last is None in a list of one. An end that is set to the other one swaps them.
    """
    whole = list(dict.fromkeys(_value(name, options, default, stays=True)))
    keys = [f"{name} {end}" for end in ("first", "last", "between")]
    for key, value in zip(keys, (whole[0], whole[-1] if len(whole) > 1 else None, whole[1:-1]), strict=True):
        _hand(key, value)
    return [{"key": key, "on_change": _choose_ends, "args": (name, keys)} for key in keys]


def _value(name: str, options: Options, default: Any, *, stays: bool) -> Any:
    chosen: dict[str, Any] = st.session_state[_CHOSEN]
    if name in chosen and _is_among(chosen[name], options):
        # The browser started this run before it had the new address.
        if chosen[name] not in (default, _asked(name, options, default)):
            _write(name, chosen[name])
        return chosen[name]
    value = _asked(name, options, default)
    if stays:
        chosen[name] = value
    return value


def _hand(key: str, value: Any) -> None:
    """Set a widget's value, but not again once the page is in use: that would undo a click made meanwhile."""
    handed: dict[str, int] = st.session_state[_HANDED]
    if key not in st.session_state or st.session_state[key] != value:
        handed[key] = 0
    if not st.session_state[_IS_IN_USE] or handed.get(key, HANDED_RUNS) < HANDED_RUNS:
        st.session_state[key] = value
    handed[key] = handed.get(key, HANDED_RUNS) + 1


def first_default(name: str, default: str) -> str:
    """Return the first default given for `name` since the page was opened."""
    first: str = st.session_state[_CHOSEN].setdefault(name, default)
    return first


def held(name: str, options: Options, default: Any) -> Any:
    """Return a choice that the address holds as `name` and that no widget asks for; `hold` changes it."""
    return st.session_state[keyed(name, options, default)["key"]]


def hold(name: str, value: Any) -> None:
    """Change a choice returned by `held`."""
    st.session_state[name] = value
    _choose(name, name)


def keep(**query: str) -> None:
    """Change the address as a widget that asks for it: a browser that still has the old one does not bring it back."""
    for name, value in query.items():
        _keep(name, value)


def kept(name: str, default: str = "") -> str:
    """Return what the address holds as `name`; `keep` or a widget may have changed it before the browser knows."""
    value: str = _value(name, None, default, stays=False)
    return value


def lost_uploads(there: int) -> int:
    """Note in the address how many uploads a page has; return how many are lost to a reload, since it was noted.

    Those that were removed since the page was opened are not lost.
    """
    chosen = st.session_state[_CHOSEN]
    if there or chosen.get(UPLOADS):
        if chosen.get(UPLOADS) != str(there):
            keep(uploads=str(there) if there else "")
        return 0
    noted = st.query_params.get(UPLOADS, "")
    return int(noted) if re.fullmatch("[0-9]{1,4}", noted) else 0


def spelled(values: Iterable[Any]) -> dict[Any, str]:
    """Return options that are not texts, numbers for instance, with the text by which the address names each."""
    return {value: str(value) for value in values}


def ask_one(
    label: str,
    options: Sequence[str] | Mapping[str, str],
    name: str,
    default: str,
    *,
    key: str | None = None,
    **more: Any,
) -> str:
    """Ask for one of a row of options, which the address holds as `name`; a mapping gives labels.

    It replaces tabs too: `st.tabs` of Streamlit 1.67 loses a click made while the tab clicked before is still drawn.
    """
    keyed_as = keyed(name, options, default, key=key)
    if isinstance(options, Mapping):
        more["format_func"] = options.__getitem__
    chosen: str | None = st.segmented_control(label, list(options), required=True, wrap=True, **keyed_as, **more)
    return chosen or default


def _asked(name: str, options: Options, default: Any) -> Any:
    by_label = {str(label): value for value, label in options.items()} if isinstance(options, Mapping) else {}
    asked = [by_label.get(value, value) for value in st.query_params.get_all(name)]
    found = [value for value in asked if options is None or value in options]
    if isinstance(default, list):
        return found or default
    return found[-1] if found else default


def _is_among(value: Any, options: Options) -> bool:
    values = value if isinstance(value, list) else [value]
    return options is None or value is None or all(each in options for each in values)


def _choose(name: str, key: str) -> None:
    _keep(name, st.session_state[key])


def _choose_ends(name: str, keys: Sequence[str]) -> None:
    first, last, between = (st.session_state[key] for key in keys)
    before = st.session_state[_CHOSEN][name]
    if first == last:
        first, last = before[-1], before[0]
    ends = [first] if last in (first, None) else [first, last]
    _keep(name, [*ends[:1], *(each for each in between if each not in ends), *ends[1:]])


def _keep(name: str, value: Any) -> None:
    st.session_state[_IS_IN_USE], st.session_state[_NOTES] = True, {}
    st.session_state[_CHOSEN][name] = value
    _write(name, value)
    st.session_state[_LEFT][st.session_state[_PAGE]] = _query()


def is_in_use() -> bool:
    """Return whether something was chosen since the page was opened."""
    return bool(st.session_state[_IS_IN_USE])


def notes() -> dict[str, str]:
    """Return what the page says of its address, by name; empty once something is chosen or the page is left."""
    said: dict[str, str] = st.session_state[_NOTES]
    return said


def complete(**query: str | Sequence[str]) -> None:
    """Write the choices that the address does not hold yet, so that it can be passed on."""
    for name, value in query.items():
        if name not in st.query_params:
            _write(name, value)
    st.session_state[_LEFT][st.session_state[_PAGE]] = _query()


def _write(name: str, value: Any) -> None:
    """Write a value, or each of a list; None, an empty text or list removes the parameter."""
    if value is None or value in ("", []):
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = [str(each) for each in value] if isinstance(value, list) else str(value)


def show(**query: str | list[str] | None) -> None:
    """Change the address; None removes a parameter. Widgets follow from the next script run on."""
    for name, value in query.items():
        _write(name, value)
        st.session_state[_CHOSEN].pop(name, None)


# --- links ----------------------------------------------------------------------------------------------------------


def keep_data() -> None:
    """Remember the data set in the address, for links to other pages that ask for one."""
    st.session_state[_DATA] = {name: value for name, value in _query().items() if name in DATA}


def leading_to(title: str, query: Query) -> Query:
    """Return the query of a link to the page called `title`: `query`, and the last data set."""
    if title in ("Dataset", "Label", "Train") and not query.keys() & set(DATA):
        query = query | st.session_state.get(_DATA, {})
    return query | {HERE: ""} if title == st.session_state.get(_PAGE) else query


def as_left(title: str) -> Query:
    """Return the query that the page called `title` had when it was left, without the data set."""
    left: Query = st.session_state.get(_LEFT, {}).get(title, {})
    if INTO in left:
        return left
    return {name: value for name, value in left.items() if name not in DATA}


def _query() -> Query:
    return {name: st.query_params.get_all(name) for name in st.query_params}
