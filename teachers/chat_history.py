"""Chat histories as one text with the place of every turn in it, so that what was found can be pointed at.

Two forms are read: JSON (messages with ``role`` and ``content``, as a list, under ``messages``, or one a line), and
plain text in which lines begin with ``User:``, ``Assistant:`` and the like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from teachers.errors import TeacherError

_ROLES = ("user", "human", "assistant", "ai", "bot", "system", "tool")
# a closed list of names at the start of a line: "Note: ..." inside an answer is text, not somebody's turn
_LABEL = re.compile(rf"^(?:\*\*)?({'|'.join(_ROLES)})(?::\*\*|\*\*:|:)[ \t]*", re.IGNORECASE | re.MULTILINE)
_BETWEEN = "\n\n"
_UNREADABLE = "not JSON that can be read (too deep, or too long a number)"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said: turn ``number`` (from 1), its role, and its half-open characters in the history's text."""

    number: int
    role: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ChatHistory:
    """The turns of a conversation.

    Args:
        text: what the turns are cut out of.
        turns: in their order; a message without text is counted, and has no characters.
        joined: ``text`` is no file's but the messages' contents with blank lines between them, as JSON escapes what it
            holds; a place in a file is then the turn and the characters in its content.
    """

    text: str
    turns: tuple[Turn, ...]
    joined: bool


def read_chat(text: str) -> ChatHistory:
    """The turns of a chat history; text that begins with a bracket or a brace is JSON.

    Raises:
        TeacherError: it is neither of the two forms.
    """
    if text.lstrip()[:1] in ("[", "{"):
        return _joined(_messages(text))
    return _labelled(text)


def _labelled(text: str) -> ChatHistory:
    """Each turn begins behind its label and ends before the next one."""
    labels = list(_LABEL.finditer(text))
    if not labels or text[: labels[0].start()].strip():
        raise TeacherError(
            f"no chat history: its first line must begin with {', '.join(f'{role.capitalize()}:' for role in _ROLES)} "
            "or such, or the whole be JSON messages with role and content"
        )
    ends = [label.start() for label in labels[1:]] + [len(text)]
    turns = [
        Turn(number, label.group(1).lower(), label.end(), end)
        for number, (label, end) in enumerate(zip(labels, ends, strict=True), start=1)
    ]
    return ChatHistory(text, tuple(turns), joined=False)


def _joined(messages: Iterator[tuple[str, Any]]) -> ChatHistory:
    parts: list[str] = []
    turns: list[Turn] = []
    at = 0
    for number, (place, message) in enumerate(messages, start=1):
        role, content = _checked(place, message)
        turns.append(Turn(number, role, at, at + len(content)))
        parts.append(content)
        at += len(content) + len(_BETWEEN)
    return ChatHistory(_BETWEEN.join(parts), tuple(turns), joined=True)


def _messages(text: str) -> Iterator[tuple[str, Any]]:
    """(where, message) of each message of a JSON list, of an object with ``messages``, or of JSON lines."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise TeacherError(f"line {error.lineno}: not JSON ({error.msg})") from None
        yield from _message_lines(text)
        return
    except (ValueError, RecursionError):
        raise TeacherError(_UNREADABLE) from None
    if isinstance(whole, dict):
        whole = whole.get("messages", [whole])
    if not isinstance(whole, list):
        raise TeacherError(f"messages is a JSON {type(whole).__name__}; a list of messages is accepted")
    yield from ((f"message {number}", message) for number, message in enumerate(whole, start=1))


def _message_lines(text: str) -> Iterator[tuple[str, Any]]:
    # JSON keeps line ends inside its strings escaped, but not the other signs that str.splitlines cuts at
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except json.JSONDecodeError as error:
                raise TeacherError(f"line {number}: not JSON ({error.msg}); one message a line is accepted") from None
            except (ValueError, RecursionError):
                raise TeacherError(f"line {number}: {_UNREADABLE}") from None


def _checked(place: str, message: Any) -> tuple[str, str]:
    """Role and content of a message; one without content, such as a tool's call, has an empty one."""
    if not isinstance(message, dict):
        raise TeacherError(f"{place}: a JSON {type(message).__name__}; an object with role and content is accepted")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role.strip():
        raise TeacherError(f"{place}: role is {role!r}; a name such as 'user' is accepted")
    if content is not None and not isinstance(content, str):
        raise TeacherError(f"{place}: content is a JSON {type(content).__name__}; a string is accepted")
    return role, content or ""
