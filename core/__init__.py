"""Everything Atrous does, without a dashboard: data, model, metrics, training."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch is loaded, so set before. Threads that wait spin by default, and where a dashboard, a
# browser and a trainer share two cores they then take the core from the thread they wait for: 3 to 5 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
