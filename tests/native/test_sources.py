"""What must hold of the crate's sources, wherever it can be built or not."""

from pathlib import Path

from stream.policy.masks import bits_of

NATIVE = Path(__file__).parents[2] / "native"
CORE = NATIVE / "core" / "src"
SOURCES = sorted(CORE.rglob("*.rs")) + sorted((NATIVE / "src").rglob("*.rs"))


def test_unsafe_stands_in_three_places_each_with_its_reason() -> None:
    found = {}
    for source in SOURCES:
        lines = source.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if "unsafe {" in line and not line.lstrip().startswith("//"):
                name = source.relative_to(CORE).as_posix() if source.is_relative_to(CORE) else source.name
                found[name] = any("// SAFETY:" in before for before in lines[max(0, number - 3) : number])
    assert found == {"base/mod.rs": True, "json/marks.rs": True, "prefetch.rs": True}


def test_every_predicate_that_the_crate_names_is_one_of_the_table() -> None:
    program = (CORE / "program.rs").read_text(encoding="utf-8")
    listed = program.partition("pub const PREDICATES")[2].partition("= [")[2].partition("];")[0]
    names = [name.strip().strip('"') for name in listed.split(",") if name.strip()]
    assert len(bits_of(names)) == len(names) == 13


def test_no_source_of_the_lock_file_is_another_than_the_usual_registry_or_the_crate_itself() -> None:
    lock = (NATIVE / "Cargo.lock").read_text(encoding="utf-8")
    sources = {line for line in lock.splitlines() if line.startswith("source = ")}
    assert len(sources) == 1
