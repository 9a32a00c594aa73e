"""Write every generated file below `deploy/`."""

from deploy.generate import TOP, files


def main() -> None:
    """Write them, and say which."""
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(TOP))


if __name__ == "__main__":
    main()
