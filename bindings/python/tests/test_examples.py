"""The example programs: each can be the peer, and the replacement, of the same program in Rust."""

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "video.py"


@pytest.mark.parametrize("first", ["rust", "python"])
def test_a_camera_is_replaced_by_one_in_the_other_language(start, peer_program, name, first):
    programs = {
        "rust": [str(Path(peer_program).with_name("video"))],
        "python": [sys.executable, str(EXAMPLE)],
    }
    second = "python" if first == "rust" else "rust"
    viewer = start([*programs[first], "viewer", name])
    numbers = []
    for language in [first, second]:
        camera = start([*programs[language], "camera", name])
        for _ in range(4):
            # "frame 7, 1 ms old, 0 skipped, 3 shown"
            words = viewer.line().split()
            assert words[0] == "frame" and words[-1] == "shown", words
            numbers.append(int(words[1].rstrip(",")))
        camera.kill()
        camera.wait()
    assert numbers == sorted(set(numbers)), numbers
    assert words[-2] == "8", "the viewer counts on"
