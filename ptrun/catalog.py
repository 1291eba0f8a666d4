"""The list of component modules. Importing this module imports them all, and with them torch, and fills the registries.

A test checks that every module that registers a component is listed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ptrun import plugins
from ptrun.data.datasets import arrays, image_files, mnist_cifar, recall, scikit_learn, sequences, series, table
from ptrun.loggers import files, tensorboard
from ptrun.losses import classification as classification_losses
from ptrun.losses import regression as regression_losses
from ptrun.metrics import classification as classification_metrics
from ptrun.metrics import regression as regression_metrics
from ptrun.models import (
    attention,
    cifar_net,
    convnet,
    fcn,
    linear,
    lstm,
    patch_transformer,
    pretrained,
    regularized,
    resnet_cifar,
    resnet_table,
    simplenet,
    timm,
    transformer,
)
from ptrun.optim import adaptive, gradient_descent, schedules
from ptrun.registry import Registry
from ptrun.transforms import color, erasing, geometry, mixing, rand_augment

MODULES = (
    *(files, tensorboard, adaptive, gradient_descent, schedules),
    *(classification_losses, regression_losses, classification_metrics, regression_metrics),
    *(color, erasing, geometry, mixing, rand_augment),
    *(arrays, scikit_learn, mnist_cifar, recall, image_files, sequences, series, table),
    *(attention, cifar_net, convnet, fcn, linear, lstm, patch_transformer, pretrained),
    *(regularized, resnet_cifar, resnet_table, simplenet, timm, transformer),
)


def load_plugins(plugin_files: Sequence[str]) -> Mapping[str, Registry[Any]]:
    """Import the user's files and return kind of component → registry.

    Raises ConfigError when a file can't be imported, or takes the name of a shipped component. These are registered
    first, because this module imports them.
    """
    plugins.load(plugin_files)
    return plugins.REGISTRIES
