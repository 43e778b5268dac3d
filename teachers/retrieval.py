"""A retriever over one long text: its segments are ranked for a question by the attention heads of a teacher.

Nothing is indexed and nothing is generated: the model reads the segments once for each question, in as many windows as
they take, and the question's attention to them is the score.

Source: Zhang et al., Query-Focused Retrieval Heads Improve Long-Context Reasoning and Re-ranking, EMNLP 2025
(QRRetriever: the best segments of a long context, by a few heads). Departures: segments are read in an order of their
own, in windows on a common scale where one prompt does not hold them, and the heads may be weighted and routed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from teachers.chat_history import ChatHistory
from teachers.errors import TeacherError
from teachers.prompt import PromptSettings, cut_words
from teachers.segments import Segment, SegmentSettings, segment, without_lone_surrogates
from teachers.teacher import HeadTeacher


@dataclass(frozen=True, slots=True)
class Found:
    """A segment that was found.

    Args:
        place: its number among the segments, from 0.
        score: higher is better; comparable within one text and question only.
        rank: from 1.
        missing: the question draws no more attention to it than a question without content does.
        repeats: further segments with the very same words, which share score and rank.
    """

    segment: Segment
    place: int
    score: float
    rank: int
    missing: bool
    repeats: tuple[Segment, ...] = ()


class SegmentRetriever:
    """Finds the segments of a text that answer a question.

    Args:
        teacher: its heads rank.
        settings: how texts are cut; a segment never gets longer than the document that the teacher reads, whatever
            ``max_words`` says.
        window_tokens: longest prompt that is read at once, None for the teacher's own setting. Reading takes time in
            proportion to the text, and more of it for each token the longer the windows are.
        window_overlap: segments that neighbouring windows share, None likewise.
    """

    def __init__(
        self,
        teacher: HeadTeacher,
        settings: SegmentSettings | None = None,
        window_tokens: int | None = None,
        window_overlap: int | None = None,
    ) -> None:
        self.max_words = teacher.reader.prompts.settings.max_document_words
        asked = settings or SegmentSettings()
        self.settings = asked.model_copy(update={"max_words": min(asked.max_words, self.max_words)})
        windows = {"window_tokens": window_tokens, "window_overlap": window_overlap}
        changed = {name: value for name, value in windows.items() if value is not None}
        prompt = PromptSettings(**{**teacher.reader.prompts.settings.model_dump(), **changed})
        reader = teacher.reader.with_prompt(prompt, teacher.reader.first_order)
        self._teacher = HeadTeacher(reader, teacher.ranker, teacher.model)

    def segments(self, source: str | ChatHistory) -> list[Segment]:
        """The segments of a text or a chat history, see `teachers.segments.segment`.

        Raises:
            TeacherError: by turns, and the text is no chat history; or the tokenizer cannot say where its tokens stand.
        """
        return segment(source, self.settings, self._teacher.reader.prompts.token_spans)

    def retrieve(
        self,
        source: str | ChatHistory | Sequence[Segment],
        question: str,
        k: int = 5,
        in_text_order: bool = False,
        on_window: Callable[[int, int], None] | None = None,
    ) -> list[Found]:
        """The best ``k`` distinct segments, fewer where there are fewer, best first.

        Equal scores keep the order of the text; segments of the same words count once, at the first of their places.

        Args:
            source: a text, or segments that were cut before, of which those without words are passed over.
            question: what is asked.
            k: segments wanted.
            in_text_order: give them in the order of the text instead.
            on_window: told how many of the windows are read, and how many there are.

        Raises:
            TeacherError: ``k`` is below 1, the question or the text holds no words, or a segment is longer than what
                the teacher reads.
        """
        if k < 1:
            raise TeacherError(f"k is {k}; at least 1 segment can be asked for")
        if not question.strip():
            raise TeacherError("the question is empty")
        segments = self.segments(source) if isinstance(source, str | ChatHistory) else source
        found = self._ranked(segments, question, on_window)[:k]
        return sorted(found, key=lambda one: one.place) if in_text_order else found

    def _ranked(
        self, segments: Sequence[Segment], question: str, on_window: Callable[[int, int], None] | None
    ) -> list[Found]:
        """Every distinct segment, best first."""
        places: dict[str, list[int]] = {}
        for place, one in enumerate(segments):
            # what the model reads of a text: its words, joined by single spaces
            read, cut = cut_words(without_lone_surrogates(one.text), self.max_words)
            if cut:
                raise TeacherError(
                    f"the segment at characters {one.start} to {one.end} has {self.max_words + cut} words and the "
                    f"teacher reads {self.max_words}; cut it with this retriever's own settings"
                )
            if read:
                places.setdefault(read, []).append(place)
        if not places:
            raise TeacherError("the text holds no words")
        asked = without_lone_surrogates(question)
        judged = self._teacher.judge_many([(asked, list(places))], on_window)[0]
        order = sorted(zip(places.values(), judged, strict=True), key=lambda pair: (-pair[1]["score"], pair[0]))
        return [
            Found(
                segments[first], first, float(row["score"]), rank, bool(row["missing"]),
                tuple(segments[place] for place in repeats),
            )
            for rank, ((first, *repeats), row) in enumerate(order, start=1)
        ]  # fmt: skip
