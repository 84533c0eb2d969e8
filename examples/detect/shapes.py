"""Images with shapes and their boxes, and the example's picture."""

import random

import torch
from PIL import Image, ImageDraw, ImageFont

NAMES = ["disc", "square", "triangle"]
COLORS = ["#ff5a5f", "#2ec4ff", "#ffc233"]  # of the boxes, by name
SIZE, FINE = 64, 4  # an image's side, and the factor by which it is drawn larger and then reduced
MOST = 3  # shapes in an image


def _touches(box, others) -> bool:
    return any(
        min(box[2], other[2]) > max(box[0], other[0]) and min(box[3], other[3]) > max(box[1], other[1])
        for other in others
    )


def _color(chance: random.Random, darkest: int, brightest: int) -> tuple:
    return tuple(chance.randint(darkest, brightest) for _ in range(3))


def _draw_shape(draw: ImageDraw.ImageDraw, label: int, box, color) -> None:
    corners = [coordinate * FINE for coordinate in box]
    if label == 0:
        draw.ellipse(corners, fill=color)
    elif label == 1:
        draw.rectangle(corners, fill=color)
    else:
        middle = (corners[0] + corners[2]) / 2
        draw.polygon([(middle, corners[1]), tuple(corners[2:]), (corners[0], corners[3])], fill=color)


def draw_image(chance: random.Random) -> tuple:
    """(image, labels, boxes): boxes are (left, top, right, bottom) in pixels, and do not overlap. Shapes are brighter than
    what is behind them."""
    image = Image.new("RGB", (SIZE * FINE, SIZE * FINE), _color(chance, 0, 90))
    draw = ImageDraw.Draw(image)
    labels, boxes = [], []
    wanted = chance.randint(1, MOST)
    while len(boxes) < wanted:
        side = chance.uniform(14, 32)
        left, top = (chance.uniform(1, SIZE - 1 - side) for _ in range(2))
        box = (left, top, left + side, top + side)
        if _touches(box, boxes):
            wanted -= chance.random() < 0.1
            continue
        label = chance.randrange(len(NAMES))
        _draw_shape(draw, label, box, _color(chance, 130, 255))
        labels.append(label)
        boxes.append(box)
    return image.resize((SIZE, SIZE), Image.BOX), labels, boxes


def to_mask(label: int, box) -> torch.Tensor:
    """[H, W] of uint8: 1 in the pixels of which the shape covers at least half."""
    image = Image.new("L", (SIZE * FINE, SIZE * FINE), 0)
    _draw_shape(ImageDraw.Draw(image), label, box, 255)
    pixels = torch.frombuffer(bytearray(image.resize((SIZE, SIZE), Image.BOX).tobytes()), dtype=torch.uint8)
    return pixels.view(SIZE, SIZE) // 128


def to_tensor(image: Image.Image) -> torch.Tensor:
    """[3, H, W] from −1 to 1."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(SIZE, SIZE, 3).permute(2, 0, 1) / 127.5 - 1


def to_target(labels: list, boxes: list) -> dict:
    """What transformers' detectors take: boxes as centre and size, in parts of the image."""
    corners = torch.tensor(boxes) / SIZE
    centres, sizes = (corners[:, 2:] + corners[:, :2]) / 2, corners[:, 2:] - corners[:, :2]
    return {"class_labels": torch.tensor(labels), "boxes": torch.cat((centres, sizes), 1)}


def draw_picture(images: list, found: list, path: str, columns: int = 4, side: int = 240, gap: int = 12) -> None:
    """found: for each image a list of (label, score, box) or (label, score, box, mask [H, W], from 0 to 1)."""
    rows = -(-len(images) // columns)
    width, height = columns * (side + gap) + gap, rows * (side + gap) + gap + 24
    picture = Image.new("RGB", (width, height), "#fafafa")
    draw = ImageDraw.Draw(picture)
    try:
        font = ImageFont.load_default(13)
    except TypeError:  # Pillow before 10.1 has a single size
        font = ImageFont.load_default()
    for number, (image, detections) in enumerate(zip(images, found)):
        left, top = (gap + index * (side + gap) for index in (number % columns, number // columns))
        picture.paste(image.resize((side, side), Image.NEAREST), (left, top))
        for label, _, _, *masks in detections:
            for mask in masks:
                tint = Image.frombytes("L", (SIZE, SIZE), bytes((mask * 150).byte().flatten().tolist()))
                picture.paste(COLORS[label], (left, top), tint.resize((side, side), Image.BICUBIC))
        for label, score, box, *_ in detections:
            corners = [origin + coordinate * side / SIZE for origin, coordinate in zip((left, top) * 2, box)]
            draw.rectangle(corners, outline="#101418", width=5)
            inner = [corner + sign for corner, sign in zip(corners, (1, 1, -1, -1))]
            draw.rectangle(inner, outline=COLORS[label], width=3)
            text = f"{score:.2f}"
            around = draw.textbbox((corners[0] + 6, corners[1] + 4), text, font=font)
            draw.rectangle([around[0] - 3, around[1] - 2, around[2] + 3, around[3] + 2], fill="#101418")
            draw.text((corners[0] + 6, corners[1] + 4), text, fill=COLORS[label], font=font)
    x = gap
    for name, color in zip(NAMES, COLORS):
        draw.rectangle([x, height - 24, x + 14, height - 10], outline=color, width=3)
        draw.text((x + 20, height - 25), name, fill="#101418", font=font)
        x += 100
    picture.save(path, optimize=True)
