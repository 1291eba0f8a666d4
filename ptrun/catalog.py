"""The list of component modules: importing this one fills the registries.

Invariant: every module that registers a component is in MODULES; a test checks that none is missing.
"""

from ptrun import loggers, losses, metrics, optimizers, schedulers
from ptrun.data import arrays, builtin, downloads, files, sequences, series, table
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
    transformer,
)
from ptrun.steps import colour, erasing, geometry, mixing, policy

MODULES = (
    *(loggers, losses, metrics, optimizers, schedulers),
    *(colour, erasing, geometry, mixing, policy),
    *(arrays, builtin, downloads, files, sequences, series, table),
    *(attention, cifar_net, convnet, fcn, linear, lstm, patch_transformer, pretrained),
    *(regularized, resnet_cifar, resnet_table, simplenet, transformer),
)
