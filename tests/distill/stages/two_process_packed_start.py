"""What each process of test_students.py runs: a decoder's training from a packed file, its unpacked folder watched."""

import json
import sys
from pathlib import Path

from accelerate import PartialState
from datasets import Dataset

from distill.recipe.students import DecoderSection
from distill.stages.students import train_student


def main(start: str, lists: str, folder: Path) -> None:
    """Train once and save which of the unpacked start model's files this process wrote or removed."""
    out, touched = folder / "student", []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        changes = event == "shutil.rmtree" or (event == "open" and "w" in str(arguments[1]))
        if changes and ".student.start" in str(arguments[0]):
            touched.append(f"{event} {arguments[0]}")

    sys.addaudithook(watch)
    section = DecoderSection(start=start, layers=1, max_tokens=60, trainer={"max_steps": 1, "use_cpu": True})
    train_student(section, Dataset.from_json(lists), [], out, lambda *_: None)
    (folder / f"touched-{PartialState().process_index}.json").write_text(json.dumps(touched))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
