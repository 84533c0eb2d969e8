"""The command `python -m dcnv4.models`: what is in pictures, or the feature maps that FlashInternImage makes of them."""

from __future__ import annotations

import argparse
import sys
from typing import List, Optional

import torch

from . import (
    CheckpointError,
    flash_internimage_b,
    flash_internimage_l,
    flash_internimage_s,
    flash_internimage_t,
    load_checkpoint,
    pictures,
)

BUILDERS = {"t": flash_internimage_t, "s": flash_internimage_s, "b": flash_internimage_b, "l": flash_internimage_l}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m dcnv4.models", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    classify = commands.add_parser("classify", help="print the five most probable classes of each picture")
    features = commands.add_parser("features", help="print the feature maps' sizes, and save them")
    for command in (classify, features):
        command.add_argument("images", nargs="+", metavar="IMAGE")
        command.add_argument("--model", choices=BUILDERS, default="t", help="the variant (default t)")
        command.add_argument("--checkpoint", required=True, metavar="FILE", help="weights, as the authors publish them")
        command.add_argument("--plot", metavar="P.png", help="draw each picture with its result")
        command.add_argument("--device", default="cpu", help="PyTorch's name of the device (default cpu)")
        command.add_argument("--size", type=int, help="side of the square that the network sees (default 224; l: 384)")
    classify.add_argument("--num-classes", type=int, default=1000)
    classify.add_argument("--labels", metavar="FILE", help="the classes' names, one a line")
    classify.add_argument("--classes", metavar="FILE", help="rows of the file's head, such as map22kto1k.txt")
    features.add_argument("--output", metavar="F.pt", help="save {picture: [feature maps]} with torch.save")
    return made


def build(options) -> torch.nn.Module:
    builder = BUILDERS[options.model]
    if options.command == "classify":
        model, arguments = builder(options.num_classes), {"classes": options.classes}
    else:
        model, arguments = builder(features_only=True), {}
    print(load_checkpoint(model, options.checkpoint, **arguments), file=sys.stderr)
    return model.eval().to(options.device)


def progress(done: int, of: int) -> None:
    if of > 1 and sys.stderr.isatty():
        print(f"\r{done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)


def classify(path: str, logits: torch.Tensor, names: Optional[List[str]]) -> str:
    """Prints the best classes; the best one in words."""
    best = logits.softmax(-1).topk(min(5, len(logits)))
    print(path)
    said = []
    for share, index in zip(best.values.tolist(), best.indices.tolist()):
        said.append(names[index] if names else f"class {index}")
        print(f"  {100 * share:5.1f} %  {said[-1]}" + (f" ({index})" if names else ""))
    return f"{said[0]}, {100 * best.values[0]:.0f} %"


def features(path: str, maps: List[torch.Tensor]) -> None:
    print(path)
    for x in maps:
        print(f"  {' × '.join(map(str, x.shape[1:]))}  mean {x.mean():.4g}, deviation {x.std():.4g}")


def draw(rows: list, size: int, path: str) -> None:
    """Each picture as the network sees it, with words or maps beside it."""
    from PIL import Image, ImageDraw

    extra = 4 * size if any(maps for _, _, maps in rows) else size
    sheet = Image.new("RGB", (size + extra, size * len(rows)), "white")
    for place, (x, words, maps) in enumerate(rows):
        pixels = x * torch.tensor(pictures.STD).view(3, 1, 1) + torch.tensor(pictures.MEAN).view(3, 1, 1)
        shown = (255 * pixels.clamp(0, 1)).round().to(torch.uint8).permute(1, 2, 0).contiguous()
        sheet.paste(Image.frombytes("RGB", (size, size), bytes(shown.flatten().tolist())), (0, size * place))
        if maps:
            sheet.paste(pictures.heat_map(maps, size), (size, size * place))
        else:
            ImageDraw.Draw(sheet).text((size + 10, size * place + size // 2), words, fill="black")
    sheet.save(path)


def run(options) -> None:
    model = build(options)
    size = options.size or model.variant.input_size
    names = pictures.labels(options.labels, options.num_classes) if options.command == "classify" else None
    rows, saved = [], {}
    for done, path in enumerate(options.images, 1):
        x = pictures.prepare(pictures.load(path), size)
        with torch.no_grad():
            result = model(x.unsqueeze(0).to(options.device))
        if options.command == "classify":
            rows.append((x, classify(path, result[0].float().cpu(), names), []))
        else:
            maps = [y.cpu() for y in result]
            features(path, maps)
            saved[path] = maps if options.output else None
            rows.append((x, "", [y[0] for y in maps]) if options.plot else None)
        progress(done, len(options.images))
    if options.command == "features" and options.output:
        torch.save(saved, options.output)
    if options.plot:
        draw(rows, size, options.plot)


def main(arguments: Optional[List[str]] = None) -> int:
    """0 for success, 1 if it failed, 2 for bad usage or input."""
    options = parser().parse_args(arguments)
    try:
        run(options)
    except (CheckpointError, ValueError, OSError) as error:
        print(f"dcnv4.models: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"dcnv4.models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
