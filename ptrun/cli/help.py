"""The overview that `ptrun` and `ptrun --help` print. The help of a verb stands in the verb's own file."""

HELP = """\
ptrun {version}: train any PyTorch model on any data from YAML.

  ptrun train                                          a small network on handwritten digits, in seconds
  ptrun train model=simplenet train.epochs=5           choose a component, change a setting
  ptrun train dataset=image_folder dataset.root=DIR model=transfer      your own images
  ptrun train dataset=table dataset.path=FILE.csv dataset.target=COLUMN your own table
  ptrun train -m model=convnet,simplenet optimizer.lr=0.1,0.01          a sweep: four runs, one table
  ptrun sweep                                          the table of the newest sweep, also while it runs
  ptrun runs model=convnet --best                      all runs (here some, best first), with state and best value
  ptrun compare RUN RUN                                settings and metrics that differ between runs
  ptrun eval checkpoint=outputs/latest                 metrics, predictions and plots of a run
  ptrun predict outputs/latest photos                  predictions for new files (here images, for a model of images)
  ptrun resume                                         continue the newest run that was interrupted
  ptrun verify outputs/latest                          check a run or a checkpoint for damage
  ptrun reproduce outputs/latest                       train again and compare every number and weight
  ptrun export outputs/latest format=onnx              a file for onnxruntime, checked against the checkpoint
  ptrun show outputs/latest                            what was trained, on what, with which result, how to use it
  ptrun publish outputs/latest model.pt                a checkpoint to give away, with a model card
  ptrun list                                           every component (ptrun list experiments: the recipes)
  ptrun show model=convnet                             the composed and checked configuration; runs nothing
  ptrun doctor                                         what this machine has, and whether training works on it

Every command takes --help. Tab completion: eval "$(ptrun -sc install=bash)" (or zsh, fish).
Exit codes: 0 done, 1 differs or jobs failed, 2 config, 3 data, 4 checkpoint, 5 diverged, 6 memory or disk, 75 stopped.
"""
