"""Settings of the sleep head."""

from dataclasses import dataclass

from heartbert.errors import ConfigError


@dataclass(frozen=True)
class SleepConfig:
    """How the head over the epochs of a night is trained.

    Attributes
    ----------
    layer : int
        Encoder layer whose tokens are pooled over each epoch.
    n_units : int
        Units of the input layer, and LSTM units in each direction.
    n_embedding_units : int
        Numbers that an epoch's embedding is brought down to.
    dropout : float
        Share of inputs and outputs of the LSTM set to zero while training.
    noise : float
        Standard deviation of what is added to the standardised features, once for each epoch and once for each run.
    class_balance : float
        How much rare classes count more: 0 not at all, 1 until all classes count alike.
    learning_rate : float
    weight_decay : float
    n_training_epochs : int
        Passes over the epochs of the training nights.
    n_networks : int
        Networks of other initial weights whose predictions are averaged.
    seed : int
    """

    layer: int = 4
    n_units: int = 32
    n_embedding_units: int = 16
    dropout: float = 0.5
    noise: float = 0.2
    class_balance: float = 0.3
    learning_rate: float = 0.004
    weight_decay: float = 0.05
    n_training_epochs: int = 25
    n_networks: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("n_units", "n_embedding_units", "n_training_epochs", "n_networks")
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"sleep: {name} is {getattr(self, name)}; at least 1 is needed.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"sleep: dropout is {self.dropout}; it must lie in [0, 1).")
        for name in ("noise", "class_balance", "weight_decay", "layer"):
            if getattr(self, name) < 0:
                raise ConfigError(f"sleep: {name} is {getattr(self, name)}; it must not be negative.")
        if not self.learning_rate > 0:
            raise ConfigError(f"sleep: learning_rate is {self.learning_rate}; it must be positive.")
