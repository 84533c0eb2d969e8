"""The picture of the example: images side by side, and for a few output pixels the points that DCNv4 samples."""

import torch
from PIL import Image, ImageDraw, ImageFont

PIXELS = [(45, 22), (16, 55), (34, 87)]  # (row, column) of the output pixels whose points are drawn
COLORS = ["#ff5a5f", "#2ec4ff", "#ffc233", "#5be37d"]  # one for each group, as in `dcnv4 plot`
DARK, LIGHT = "#101418", "#fafafa"
SIDE, GAP, REACH = 384, 16, 4.5  # a panel's width, the space between two, and half a close-up's width in pixels
FINE = 2  # the factor by which it is drawn larger and then reduced, for smooth edges


def to_image(tensor: torch.Tensor) -> Image.Image:
    """[3, H, W] from 0 to 1."""
    pixels = (tensor.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous()
    return Image.frombytes("RGB", (pixels.shape[1], pixels.shape[0]), bytes(pixels.flatten().tolist()))


def sampling_points(offset_mask: torch.Tensor, layer, row: int, column: int) -> list:
    """(group, x, y, weight) of each point that output pixel (row, column) samples, by docs/operator.md."""
    kernel_h, kernel_w = layer.kernel_size
    half_h, half_w = (d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size))
    grid = [
        (i * layer.dilation[1] - half_w, j * layer.dilation[0] - half_h)
        for i in range(kernel_w)
        for j in range(kernel_h)
        if not (layer.remove_center and (i, j) == (kernel_w // 2, kernel_h // 2))
    ]
    points = []
    for group in range(layer.group):
        block = offset_mask[row, column, 3 * len(grid) * group :].tolist()
        for k, (dx, dy) in enumerate(grid):
            x = column * layer.stride[1] - layer.padding[1] + half_w + layer.offset_scale * (dx + block[2 * k])
            y = row * layer.stride[0] - layer.padding[0] + half_h + layer.offset_scale * (dy + block[2 * k + 1])
            points.append((group, x, y, block[2 * len(grid) + k]))
    return points


class Canvas:
    """Draws in the coordinates of the final picture."""

    def __init__(self, width: int, height: int):
        self.image = Image.new("RGB", (width * FINE, height * FINE), LIGHT)
        self.draw = ImageDraw.Draw(self.image)
        try:
            self.font = ImageFont.load_default(15 * FINE)
        except TypeError:  # Pillow before 10.1 has a single size
            self.font = ImageFont.load_default()

    def paste(self, image: Image.Image, left: int, top: int, width: int, height: int, box=None, smooth=False):
        """The box (left, top, right, bottom) of an image, in its pixels, or all of it."""
        kind = Image.BICUBIC if smooth else Image.NEAREST
        size = (width * FINE, height * FINE)
        if box is not None:
            coefficients = ((box[2] - box[0]) / size[0], 0, box[0], 0, (box[3] - box[1]) / size[1], box[1])
            image = image.transform(size, Image.AFFINE, coefficients, kind)
        self.image.paste(image.resize(size, kind), (left * FINE, top * FINE))

    def circle(self, x: float, y: float, radius: float, color: str, filled: bool):
        box = [(c + sign * radius) * FINE for sign in (-1, 1) for c in (x, y)]
        if filled:
            self.draw.ellipse(box, fill=color, outline=DARK, width=FINE)
        else:
            self.draw.ellipse(box, outline=DARK, width=4 * FINE)
            box = [box[0] + FINE, box[1] + FINE, box[2] - FINE, box[3] - FINE]
            self.draw.ellipse(box, outline=color, width=2 * FINE)

    def line(self, *points, color: str, width: float):
        self.draw.line([coordinate * FINE for coordinate in points], fill=color, width=round(width * FINE))

    def cross(self, x: float, y: float, size: float = 9):
        for color, width, arm in ((DARK, 5, size + 1), ("#ffffff", 2.5, size)):
            self.line(x - arm, y, x + arm, y, color=color, width=width)
            self.line(x, y - arm, x, y + arm, color=color, width=width)

    def label(self, left: float, top: float, text: str, color: str = "#ffffff", background: str = DARK):
        box = self.draw.textbbox((left * FINE, top * FINE), text, font=self.font)
        if background:
            around = [box[0] - 5 * FINE, box[1] - 4 * FINE, box[2] + 5 * FINE, box[3] + 4 * FINE]
            self.draw.rectangle(around, fill=background)
        self.draw.text((left * FINE, top * FINE), text, fill=color, font=self.font)
        return (box[2] - box[0]) / FINE

    def save(self, path: str):
        width, height = self.image.size
        self.image.resize((width // FINE, height // FINE), Image.LANCZOS).save(path, optimize=True)


def _close_up(canvas: Canvas, image: Image.Image, left: int, top: int, pixel: tuple, points: list, largest: float):
    row, column = pixel
    unit = SIDE / (2 * REACH)
    corner = (column + 0.5 - REACH, row + 0.5 - REACH)  # in the image's pixels, whose centres lie at halves here
    canvas.paste(image, left, top, SIDE, SIDE, (*corner, corner[0] + 2 * REACH, corner[1] + 2 * REACH))

    def place(x, y):
        return left + (x + 0.5 - corner[0]) * unit, top + (y + 0.5 - corner[1]) * unit

    for group, x, y, weight in sorted(points, key=lambda point: -abs(point[3])):
        if max(abs(x - column), abs(y - row)) < REACH - 0.3:
            radius = 17 * (abs(weight) / largest) ** 0.5
            canvas.circle(*place(x, y), max(radius, 2), COLORS[group % len(COLORS)], weight > 0)
    canvas.cross(*place(column, row))
    canvas.label(left + 12, top + 10, f"row {row}, column {column}")


def draw(panels: dict, offset_mask: torch.Tensor, layer, path: str):
    """panels: three images [3, H, W] by title; the close-ups show the second one. offset_mask: [H, W, P]."""
    images = {title: to_image(tensor) for title, tensor in panels.items()}
    rows, columns = next(iter(panels.values())).shape[1:]
    height = SIDE * rows // columns
    canvas = Canvas(len(panels) * (SIDE + GAP) + GAP, GAP + height + GAP + SIDE + 3 * GAP)
    pixels = [(row, column) for row, column in PIXELS if row < offset_mask.shape[0] and column < offset_mask.shape[1]]
    for number, (title, image) in enumerate(images.items()):
        left = GAP + number * (SIDE + GAP)
        canvas.paste(image, left, GAP, SIDE, height)
        canvas.label(left + 12, GAP + 10, title)
        if number == 1:
            for row, column in pixels:
                canvas.cross(left + (column + 0.5) * SIDE / columns, GAP + (row + 0.5) * SIDE / columns, 6)
    looked_at = list(images.values())[1]
    found = {pixel: sampling_points(offset_mask, layer, *pixel) for pixel in pixels}
    largest = max(abs(point[3]) for points in found.values() for point in points)
    top = GAP + height + GAP
    for number, (pixel, points) in enumerate(found.items()):
        _close_up(canvas, looked_at, GAP + number * (SIDE + GAP), top, pixel, points, largest)

    x, y = GAP + 12, top + SIDE + 2 * GAP - 8
    canvas.cross(x, y, 8)
    x += 16 + canvas.label(x + 14, y - 9, "output pixel", DARK, "") + 24
    for group in range(layer.group):
        canvas.circle(x, y, 8, COLORS[group % len(COLORS)], True)
        x += 16 + canvas.label(x + 14, y - 9, f"group {group}", DARK, "") + 24
    for filled, words in ((True, "weight > 0"), (False, "weight < 0")):
        canvas.circle(x, y, 8, "#8a949e", filled)
        x += 16 + canvas.label(x + 14, y - 9, words, DARK, "") + 24
    canvas.label(x, y - 9, f"area = |weight|, largest {largest:.2f}", DARK, "")
    canvas.save(path)
