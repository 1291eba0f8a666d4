"""The list of component modules: importing this one fills the registries.

Invariant: every module that registers a component is in MODULES; a test checks that none is missing.
"""

from ptrun import loggers, losses, metrics, optimizers, schedulers
from ptrun.data import builtin, downloads, files, sequences, series, table
from ptrun.models import (
    attention,
    convnet,
    linear,
    lstm,
    patch_transformer,
    pretrained,
    regularized,
    simplenet,
    transformer,
)
from ptrun.steps import colour, erasing, geometry, mixing, policy

MODULES = (
    *(loggers, losses, metrics, optimizers, schedulers),
    *(colour, erasing, geometry, mixing, policy),
    *(builtin, downloads, files, sequences, series, table),
    *(attention, convnet, linear, lstm, patch_transformer, pretrained, regularized, simplenet, transformer),
)
