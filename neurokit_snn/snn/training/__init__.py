"""Training of spiking networks: rules for the gradient, and trainers that learn by them."""

from neurokit_snn.snn.training.classifier import Classifier
from neurokit_snn.snn.training.regressor import Regressor
from neurokit_snn.snn.training.rules import BPTT, SLTT, Objective, Rule, TruncatedBPTT
from neurokit_snn.snn.training.traces import OTTT
from neurokit_snn.snn.training.trainer import Trainer

__all__ = ["BPTT", "OTTT", "SLTT", "Classifier", "Objective", "Regressor", "Rule", "Trainer", "TruncatedBPTT"]
