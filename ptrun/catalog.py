"""The list of component modules: importing this one fills the registries.

Invariant: every module that registers a component is in MODULES; a test checks that none is missing.
"""

from ptrun.data.datasets import arrays, image_files, mnist_cifar, scikit_learn, sequences, series, table
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
    transformer,
)
from ptrun.optim import adaptive, gradient_descent, schedules
from ptrun.transforms import color, erasing, geometry, mixing, rand_augment

MODULES = (
    *(files, tensorboard, adaptive, gradient_descent, schedules),
    *(classification_losses, regression_losses, classification_metrics, regression_metrics),
    *(color, erasing, geometry, mixing, rand_augment),
    *(arrays, scikit_learn, mnist_cifar, image_files, sequences, series, table),
    *(attention, cifar_net, convnet, fcn, linear, lstm, patch_transformer, pretrained),
    *(regularized, resnet_cifar, resnet_table, simplenet, transformer),
)
