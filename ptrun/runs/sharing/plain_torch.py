"""The lines of Python by which plain torch takes weights."""

from __future__ import annotations

# Models that hold a network of another package as `network`, which the names of its weights then begin with.
_HOLD_A_NETWORK = ("torchvision", "timm")


def loading_line(network: str, weights: str, model: str) -> str:
    """Python that loads a state dict into a module. network, weights: their names in it. model: its name in ptrun."""
    if model in _HOLD_A_NETWORK:
        weights = f'{{name.removeprefix("network."): tensor for name, tensor in {weights}.items()}}'
    return f"{network}.load_state_dict({weights})"
