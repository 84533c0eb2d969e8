"""python -m dcnv4.models, on random weights and drawn pictures."""

import dataclasses

import pytest
import torch
from PIL import Image, ImageDraw

from dcnv4 import models
from dcnv4.models import __main__ as command
from dcnv4.models import pictures
from dcnv4.models.flash_internimage import T


def build(num_classes=1000, features_only=False):
    variant = dataclasses.replace(T, channels=16, depths=(1, 1, 1, 1))
    return models.FlashInternImage(variant, num_classes, features_only)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The checkpoint and two pictures; the command's variant t is a small network."""
    monkeypatch.setitem(command.BUILDERS, "t", build)
    torch.save({"model": build().state_dict()}, tmp_path / "t.pth")
    for place, size in enumerate([(80, 50), (40, 90)]):
        image = Image.new("RGB", size, "navy")
        ImageDraw.Draw(image).ellipse((10, 10, 35, 40), fill="orange")
        image.save(tmp_path / f"{place}.png")
    return [str(tmp_path / name) for name in ("0.png", "1.png")], [
        "--checkpoint",
        str(tmp_path / "t.pth"),
        "--size",
        "64",
    ]


def test_classify(files, tmp_path, capsys):
    images, rest = files
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"thing {i}" for i in range(1000)))
    plot = tmp_path / "plot.png"
    assert command.main(["classify", *images, *rest, "--labels", str(names), "--plot", str(plot)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert (
        [lines[0], lines[6]] == images
        and len(lines) == 12
        and all("% " in line and "thing" in line for line in lines[1:6])
    )
    shares = [float(line.split()[0]) for line in lines[1:6]]
    assert shares == sorted(shares, reverse=True) and "loaded model" in err
    drawn = Image.open(plot)
    assert drawn.size == (128, 128) and drawn.getpixel((0, 0)) == (0, 0, 128) and len(drawn.getcolors(5000)) > 2


def test_features(files, tmp_path, capsys):
    images, rest = files
    output, plot = tmp_path / "maps.pt", tmp_path / "plot.png"
    assert command.main(["features", *images, *rest, "--output", str(output), "--plot", str(plot)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("  16 × 16 × 16  mean")
    saved = torch.load(output, weights_only=True)
    assert [x.shape[1] for x in saved[images[0]]] == [16, 32, 64, 128]
    assert Image.open(plot).size == (5 * 64, 2 * 64)


def test_faults(files, tmp_path, capsys):
    images, (option, checkpoint, *rest) = files
    assert command.main(["classify", "none.png", option, checkpoint, *rest]) == 2
    assert "none.png" in capsys.readouterr().err
    assert command.main(["classify", images[0], option, images[0]]) == 2
    assert command.main(["classify", images[0], option, checkpoint, "--num-classes", "7"]) == 2
    assert "head.weight is 1000×192, not 7×192" in capsys.readouterr().err
    (tmp_path / "names.txt").write_text("one\n")
    assert (
        command.main(["classify", images[0], option, checkpoint, *rest, "--labels", str(tmp_path / "names.txt")]) == 2
    )
    assert "has 1 names, the model has 1000 classes" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        command.main(["classify", *images])
    assert refused.value.code == 2


def test_preparation():
    """The short side becomes the size itself, the middle is kept, and colours are normalised."""
    image = Image.new("RGB", (90, 30), "red")
    image.paste((0, 0, 255), (30, 0, 60, 30))
    x = pictures.prepare(image, 60)
    assert x.shape == (3, 60, 60)
    blue = torch.tensor([(0 - 0.485) / 0.229, (0 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    assert torch.allclose(x[:, 30, 30], blue, atol=1e-6) and torch.allclose(x[:, 0, 5], blue, atol=1e-6)
    assert pictures.prepare(Image.new("L", (7, 11)).convert("RGB"), 224).shape == (3, 224, 224)
