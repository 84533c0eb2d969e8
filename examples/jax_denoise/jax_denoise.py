"""Trains a network of DCNv4 layers in Flax to remove noise from pictures of waves. Needs no PyTorch."""

import argparse

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import dcnv4.jax

NOISE, SIZE = 0.5, 24


class DCNv4(nn.Module):
    """The layer of DCNv4's authors, on images [N, H, W, C]: the offsets and weights come from the image itself, and begin at
    the kernel's grid with weights of 0."""

    group: int = 4
    kernel_size: int = 3

    @nn.compact
    def __call__(self, x):
        channels, points = x.shape[-1], self.kernel_size**2
        row = -(-3 * self.group * points // 8) * 8
        offset_mask = nn.Dense(row, kernel_init=nn.initializers.zeros)(x)
        padding = self.kernel_size // 2
        y = dcnv4.jax.dcnv4(nn.Dense(channels)(x), offset_mask, self.kernel_size, padding=padding, group=self.group)
        return nn.Dense(channels)(y)


class Denoiser(nn.Module):
    channels: int = 16

    @nn.compact
    def __call__(self, x):
        y = nn.Conv(self.channels, (3, 3))(x)
        for _ in range(2):
            y = y + DCNv4()(nn.LayerNorm()(y))
            y = y + nn.Dense(self.channels)(nn.gelu(nn.Dense(2 * self.channels)(nn.LayerNorm()(y))))
        return x - nn.Conv(1, (3, 3), kernel_init=nn.initializers.zeros)(y)


def pictures(key, count: int):
    """(noisy, clean) pictures of two waves each, [count, SIZE, SIZE, 1]."""
    waves, noise = jax.random.split(key)
    y, x = jnp.meshgrid(jnp.arange(SIZE), jnp.arange(SIZE), indexing="ij")
    a, b, phase = jnp.moveaxis(jax.random.uniform(waves, (count, 2, 3), minval=-0.6, maxval=0.6), -1, 0)[..., None, None]
    clean = jnp.sin(a * x + b * y + 10 * phase).sum(1)[..., None]
    return clean + NOISE * jax.random.normal(noise, clean.shape), clean


def main(steps: int) -> tuple:
    model, optimizer = Denoiser(), optax.adam(3e-3)
    parameters = model.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 1)))
    state = optimizer.init(parameters)

    def loss(parameters, key):
        noisy, clean = pictures(key, 16)
        return ((model.apply(parameters, noisy) - clean) ** 2).mean()

    @jax.jit
    def step(parameters, state, key):
        gradients = jax.grad(loss)(parameters, key)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(parameters, updates), state

    unseen = jax.random.key(10**6)
    before = float(loss(parameters, unseen))
    for number in range(steps):
        parameters, state = step(parameters, state, jax.random.key(number))
    after = float(loss(parameters, unseen))
    print(f"mean square error {before:.4f} before, {after:.4f} after {steps} steps")
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    main(parser.parse_args().steps)
