"""Scenes of coloured solids on a plane, what the cameras in their middle see of them, and the example's picture.

x is right, y is up on the plan, z is height, in metres. A solid is (kind, x, y, half length, half width, height,
angle)."""

import colorsys
import math
import random
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont

NAMES = ["cuboid", "cylinder", "cone"]
COLORS = ["#ff5a5f", "#2ec4ff", "#ffc233"]  # of the boxes, by name
REACH = 4.0  # solids have |x| and |y| below it
NEAREST = 1.5  # and are at least this far from the middle
WIDTH, HEIGHT, FOCAL = 80, 48, 38.0  # of a camera, in pixels
DARK, LIGHT = "#101418", "#fafafa"


@dataclass
class Camera:
    place: torch.Tensor  # [3]
    axes: torch.Tensor  # [3, 3]: the directions of the picture's x and y, and forward, in rows

    def project(self, points: torch.Tensor) -> tuple:
        """[…, 3] → […, 2] from 0 to 1 inside the picture, and whether a point is there."""
        x, y, depth = ((points - self.place) @ self.axes.T).unbind(-1)
        scale = FOCAL / depth.clamp(min=0.1)
        places = torch.stack((x * scale / WIDTH + 0.5, y * scale / HEIGHT + 0.5), -1)
        return places, (depth > 0.1) & (places > 0).all(-1) & (places < 1).all(-1)

    def rays(self, finer: int) -> torch.Tensor:
        """The directions [H·W, 3] of the pixels' centres."""
        v, u = torch.meshgrid(torch.arange(HEIGHT * finer), torch.arange(WIDTH * finer), indexing="ij")
        x, y = (u + 0.5) / finer - WIDTH / 2, (v + 0.5) / finer - HEIGHT / 2
        return torch.stack((x / FOCAL, y / FOCAL, torch.ones_like(x)), -1).flatten(0, 1) @ self.axes


def make_camera(angle: float, down: float = 0.26, height: float = 1.6) -> Camera:
    sine, cosine = math.sin(angle), math.cos(angle)
    forward = [cosine * math.cos(down), sine * math.cos(down), -math.sin(down)]
    below = [-cosine * math.sin(down), -sine * math.sin(down), -math.cos(down)]
    return Camera(
        torch.tensor([0.3 * cosine, 0.3 * sine, height]), torch.tensor([[sine, -cosine, 0.0], below, forward])
    )


CAMERAS = [make_camera(math.pi / 2 * (1 - turn)) for turn in range(4)]  # ahead, right, behind, left
CAMERA_NAMES = ["ahead", "right", "behind", "left"]


def make_solids(chance: random.Random) -> list:
    """Two to five that do not touch."""
    solids, wanted = [], chance.randint(2, 5)
    while len(solids) < wanted:
        kind, x, y = chance.randrange(3), *(chance.uniform(-REACH, REACH) for _ in range(2))
        length = chance.uniform(0.35, 0.6)
        width = length * chance.uniform(0.5, 0.75) if kind == 0 else length
        if math.hypot(x, y) < NEAREST or any(math.hypot(x - o[1], y - o[2]) < length + o[3] + 0.3 for o in solids):
            continue
        solids.append((kind, x, y, length, width, chance.uniform(0.6, 1.3), chance.uniform(0, math.pi) * (kind == 0)))
    return solids


def render(solids: list, chance: random.Random, finer: int = 1) -> torch.Tensor:
    """What the cameras see, [cameras, 3, H, W] from 0 to 1. Its colours are drawn at random."""
    grey = lambda low, high: torch.tensor([chance.uniform(low, high) for _ in range(3)])  # noqa: E731
    ground, sky = grey(0.3, 0.45), grey(0.7, 0.9)
    colors = [torch.tensor(colorsys.hsv_to_rgb(chance.random(), chance.uniform(0.6, 1), 1.0)) for _ in solids]
    return torch.stack([_look(camera, solids, colors, ground, sky, finer) for camera in CAMERAS])


def _look(camera: Camera, solids, colors, ground, sky, finer: int) -> torch.Tensor:
    rays = camera.rays(finer)
    nearest = torch.where(rays[:, 2] < 0, -camera.place[2] / rays[:, 2], math.inf)  # along the ray: the ground
    seen = camera.place[:2] + nearest[:, None].nan_to_num(posinf=0) * rays[:, :2]
    checks = 0.9 + 0.1 * ((seen[:, :1] / 2).floor() + (seen[:, 1:] / 2).floor()).remainder(2)
    picture = torch.where(nearest[:, None] < math.inf, ground * checks, sky)
    light = torch.tensor([0.36, 0.48, 0.8])
    for solid, color in zip(solids, colors):
        if not camera.project(corners(solid))[1].any():
            continue
        far, normal = _meet(camera.place, rays, solid)
        shade = 0.3 + 0.7 * (normal @ light).clamp(min=0)
        picture = torch.where((far < nearest)[:, None], color * shade[:, None], picture)
        nearest = torch.minimum(far, nearest)
    return picture.T.reshape(3, HEIGHT * finer, WIDTH * finer)


def _meet(place, rays, solid) -> tuple:
    """Where along the rays a solid begins, infinity if they miss it, and its normal there. The solid is moved, turned
    and scaled to a unit one, from 0 to 1 in height, and the rays with it."""
    kind, x, y, length, width, height, angle = solid
    turn = torch.tensor([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
    scale = torch.tensor([length, width, height])
    origin, d = ((place - torch.tensor([x, y, 0])) @ turn.T) / scale, (rays @ turn.T) / scale
    far, normal = _meet_cuboid(origin, d) if kind == 0 else _meet_round(origin, d, kind - 1)
    return far, torch.nn.functional.normalize((normal / scale) @ turn, dim=1)


def _meet_cuboid(origin, d) -> tuple:
    low, high = ((torch.tensor(bound) - origin) / d for bound in ([-1.0, -1, 0], [1.0, 1, 1]))
    near, side = torch.minimum(low, high).max(1)
    hit = (near > 0) & (near < torch.maximum(low, high).amin(1))
    normal = torch.nn.functional.one_hot(side, 3) * -d.sign()
    return torch.where(hit, near, math.inf), normal


def _meet_round(origin, d, slope: int) -> tuple:
    """x² + y² = (1 − slope·z)²: a cylinder with its lid, or a cone."""
    p, q = 1 - slope * origin[2], slope * d[:, 2]
    a, b = d[:, 0] ** 2 + d[:, 1] ** 2 - q**2, (d[:, :2] @ origin[:2]) + p * q
    root = (b**2 - a * (origin[:2].square().sum() - p**2)).sqrt()  # NaN where it misses
    ways = torch.stack(((-b - root) / a, (-b + root) / a))
    z = origin[2] + ways * d[:, 2]
    far = torch.where((ways > 0) & (z >= 0) & (z <= 1), ways, math.inf).amin(0)
    at = origin + far.nan_to_num(posinf=0)[:, None] * d
    normal = torch.cat((at[:, :2], slope * (1 - at[:, 2:])), 1)
    lid = (1 - origin[2]) / d[:, 2]
    on_lid = (slope == 0) & (lid > 0) & (lid < far) & ((origin[:2] + lid[:, None] * d[:, :2]).square().sum(1) <= 1)
    return torch.where(on_lid, lid, far), torch.where(on_lid[:, None], torch.tensor([0.0, 0, 1]), normal)


def corners(solid) -> torch.Tensor:
    """[8, 3]: the corners of a solid's box, those on the ground first, around it."""
    _, x, y, length, width, height, angle = solid
    flat = torch.tensor([[length, width], [-length, width], [-length, -width], [length, -width]])
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    flat = flat @ turn + torch.tensor([x, y])
    return torch.cat([torch.cat((flat, torch.full((4, 1), z)), 1) for z in (0.0, height)])


EDGES = [edge for i in range(4) for edge in ((i, (i + 1) % 4), (i + 4, (i + 1) % 4 + 4), (i, i + 4))]
FINE = 4  # the cameras' pictures are drawn finer for people than the network sees them
GAP, HEAD = 12, 26


def draw_picture(scenes: list, path: str) -> None:
    """scenes: (pictures [cameras, 3, H, W] finer by FINE, the solids, those found) each, one below the other."""
    width, height = WIDTH * FINE, HEIGHT * FINE
    side = 2 * height + GAP
    sheet = Image.new("RGB", (2 * width + side + 4 * GAP, len(scenes) * (side + GAP) + GAP + HEAD), LIGHT)
    pen = ImageDraw.Draw(sheet)
    try:
        font = ImageFont.load_default(14)
    except TypeError:  # Pillow before 10.1 has a single size
        font = ImageFont.load_default()
    for number, (pictures, solids, found) in enumerate(scenes):
        top = GAP + number * (side + GAP)
        for place, picture in enumerate(pictures):
            panel = _camera_panel(picture, CAMERAS[place], found)
            ImageDraw.Draw(panel).text((8, 5), CAMERA_NAMES[place], fill=DARK, font=font)
            sheet.paste(panel, (GAP + place % 2 * (width + GAP), top + place // 2 * (height + GAP)))
        sheet.paste(_plan(solids, found, side), (2 * width + 3 * GAP, top))
    x, y = GAP, sheet.height - HEAD
    for name, color in zip(["the solids", *NAMES], ["#c3c8ce", *COLORS]):
        pen.rectangle([x, y, x + 14, y + 14], fill=color if name == "the solids" else None, outline=color, width=3)
        text = name if name == "the solids" else f"found: {name}"
        pen.text((x + 22, y - 1), text, fill=DARK, font=font)
        x += 150
    sheet.quantize(256).save(path, optimize=True)


def _camera_panel(picture: torch.Tensor, camera: Camera, found: list) -> Image.Image:
    pixels = (picture.clamp(0, 1) * 255).byte().permute(1, 2, 0).contiguous()
    panel = Image.frombytes("RGB", (pixels.shape[1], pixels.shape[0]), bytes(pixels.flatten().tolist()))
    pen, size = ImageDraw.Draw(panel), torch.tensor([panel.width, panel.height])
    for solid in found:
        box = corners(solid)
        if not camera.project(box)[1].any():
            continue
        places = (camera.project(box)[0] * size).tolist()
        for one, other in EDGES:
            pen.line([*places[one], *places[other]], fill=COLORS[solid[0]], width=2)
    return panel


def _plan(solids: list, found: list, side: int) -> Image.Image:
    """From above; drawn twice as large and then reduced, for smooth edges."""
    panel = Image.new("RGB", (2 * side, 2 * side), "#ffffff")
    pen, unit = ImageDraw.Draw(panel), side / (REACH + 0.7)
    place = lambda x, y: (side + x * unit, side - y * unit)  # noqa: E731
    for line in range(-4, 5, 2):
        pen.line([*place(line, -9), *place(line, 9)], fill="#eceff2", width=2)
        pen.line([*place(-9, line), *place(9, line)], fill="#eceff2", width=2)
    for camera in CAMERAS:
        (x, y), forward, sideways = camera.place[:2], camera.axes[2, :2], camera.axes[0, :2]
        ends = [camera.place[:2] + 0.6 * (forward + sign * WIDTH / 2 / FOCAL * sideways) for sign in (-1, 1)]
        pen.polygon([place(x, y), *(place(*end) for end in ends)], fill="#d5dade")
    for kind, x, y, length, *rest in solids:
        outline = [place(*corner[:2]) for corner in corners((kind, x, y, length, *rest))[:4].tolist()]
        if kind == 0:
            pen.polygon(outline, fill="#c3c8ce")
        else:
            pen.ellipse([*place(x - length, y + length), *place(x + length, y - length)], fill="#c3c8ce")
    for solid in found:
        outline = [place(*corner[:2]) for corner in corners(solid)[:4].tolist()]
        pen.line([*outline, outline[0], outline[1]], fill=COLORS[solid[0]], width=6, joint="curve")
    pen.rectangle([0, 0, 2 * side - 1, 2 * side - 1], outline="#c3c8ce", width=3)
    return panel.resize((side, side), Image.LANCZOS)
