"""Eight fake devices for every test, threads enough for their collectives, and parsed absl flags (Grain wants them)."""

import os

# The CPU client's collectives need a thread for each device twice over; on a small machine they wait for ever without.
os.environ.setdefault("NPROC", "16")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

from absl import flags

flags.FLAGS.mark_as_parsed()
