"""Train over two hosts, cut the link between them, mend it, and see what comes of the run.

    python benchmarks/two_hosts.py

The hosts are two network namespaces of this machine, each with an address of its own, joined by a virtual cable; they
share the disk, as hosts of a cluster do. Needs root, for the namespaces; prints what each host says, and a verdict.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOSTS = ("multigan-a", "multigan-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
CABLE = "cable"
NAMES = Path("/etc/netns")  # what `ip netns exec` lays over /etc: hosts know one another, and themselves, by name
TIMEOUT = 20  # seconds that a process waits for the other
GRACE = 25  # seconds more to say so and end
PATIENCE = 180  # seconds for anything else
CUT_AT = "step 60 "
TRAIN = [
    *("-m", "multigan", "train", "image", "--steps", "150", "--batch_size", "32", "--tracker", "none"),
    *("--log_every", "10", "--checkpoint_every", "20", "--sample_every", "1000", "--timeout", str(TIMEOUT)),
    *("--model.resolution", "16", "--model.generator_width", "4", "--model.discriminator_width", "4"),
]
TOLD = ("multigan: error", "training in", "resuming", "run folder", "warning", CUT_AT)


class FailedError(Exception):
    """A claim does not hold."""


def ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


def connect():
    """Two hosts and the cable between them."""
    names = "".join(f"{address} {host}\n" for address, host in zip(ADDRESSES, HOSTS, strict=True))
    for host in HOSTS:
        ip("netns", "add", host)
        ip("-n", host, "link", "set", "lo", "up")
        (NAMES / host).mkdir(parents=True)
        (NAMES / host / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
    ip("link", "add", CABLE, "netns", HOSTS[0], "type", "veth", "peer", "name", CABLE, "netns", HOSTS[1])
    for host, address in zip(HOSTS, ADDRESSES, strict=True):
        ip("-n", host, "address", "add", f"{address}/24", "dev", CABLE)
        ip("-n", host, "link", "set", CABLE, "up")


def remove():
    """The hosts, with all that still runs on them."""
    for host in HOSTS:
        found = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True)
        for process in found.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        ip("netns", "delete", host, check=False)
        shutil.rmtree(NAMES / host, ignore_errors=True)
    with contextlib.suppress(OSError):
        NAMES.rmdir()  # if it was empty but for ours


def on(host, command):
    """A command as one that runs on a host, which goes by its own name."""
    return ["ip", "netns", "exec", host, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *command]


class Machine:
    """`accelerate launch` on one of the hosts."""

    def __init__(self, rank, folder, *flags, launcher=()):
        self.name, self.log = HOSTS[rank], folder / f"{HOSTS[rank]}-{time.monotonic_ns()}.log"
        several = ("--num_machines", "2", "--num_processes", "2", "--machine_rank", rank)
        meeting = ("--main_process_ip", ADDRESSES[0], "--main_process_port", "29500")
        config = ROOT / "configs" / "accelerate" / "multi_host.yaml"
        accelerate = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", config]
        self.process = start(
            on(self.name, [*accelerate, *several, *meeting, *launcher, *TRAIN, *flags]),
            folder,
            self.log,
        )

    @property
    def said(self):
        return self.log.read_text(errors="replace")

    def tell(self):
        """The lines that matter, with the host's name before each."""
        for line in self.said.splitlines():
            if any(word in line for word in TOLD):
                print(f"{self.name}: {line}", flush=True)


def start(command, folder, log):
    environment = {
        **os.environ,
        "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": CABLE,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "MULTIGAN_CACHE": str(folder / "cache"),
    }
    with log.open("w") as output:
        return subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def both(folder, *flags, launcher=()):
    return [Machine(rank, folder, *flags, launcher=launcher) for rank in (0, 1)]


def wait(machines, seconds):
    """Wait for both to end; returns their exit codes and how long each took."""
    begun, ended = time.monotonic(), {}
    while len(ended) < len(machines):
        for machine in machines:
            if machine not in ended and machine.process.poll() is not None:
                ended[machine] = time.monotonic() - begun
        if time.monotonic() > begun + seconds:
            for machine in machines:
                print(machine.said, file=sys.stderr)
            raise FailedError(f"a host still runs after {seconds} s")
        time.sleep(0.1)
    return [machine.process.returncode for machine in machines], [ended[machine] for machine in machines]


def wait_for(machine, text, count=1):
    end = time.monotonic() + PATIENCE
    while machine.said.count(text) < count:
        if machine.process.poll() is not None or time.monotonic() > end:
            raise FailedError(f"{machine.name} never said {text!r}: {machine.said}")
        time.sleep(0.02)


def cut():
    ip("-n", HOSTS[0], "link", "set", CABLE, "down")


def mend():
    ip("-n", HOSTS[0], "link", "set", CABLE, "up")


def outcome(folder):
    """What a run has come to: the hash of its weights, and its metrics without times."""
    files = [*(folder / "checkpoints" / "step-150").glob("*.safetensors"), folder / "model" / "model.safetensors"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{k: v for k, v in line.items() if "second" not in k} for line in lines if "note" not in line]
    return metrics, {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def claim(good, words):
    print(f"{'yes' if good else 'NO '}: {words}", flush=True)
    if not good:
        raise FailedError(words)


# --- what is shown ---


def on_one_host(folder):
    """The run that all others have to equal: two processes on one host."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *TRAIN]
    log = folder / "one_host.log"
    process = start(on(HOSTS[0], [*command, "--output", folder / "one_host"]), folder, log)
    if process.wait(PATIENCE):
        raise FailedError(f"the run on one host failed: {log.read_text()}")
    return outcome(folder / "one_host")


def over_two_hosts(folder, expected):
    print("\n(a) over two hosts")
    machines = both(folder, "--output", folder / "two_hosts")
    codes, _ = wait(machines, PATIENCE)
    for machine in machines:
        machine.tell()
    claim(codes == [0, 0], "it trains over two hosts")
    claim(outcome(folder / "two_hosts") == expected, "bit for bit as two processes on one host")


def with_the_link_cut(folder, expected):
    print("\n(b) the link is cut")
    machines = both(folder, "--output", folder / "cut")
    wait_for(machines[0], CUT_AT)
    cut()
    codes, seconds = wait(machines, TIMEOUT + GRACE)
    for machine in machines:
        machine.tell()
    claim(0 not in codes, f"both hosts stop: after {seconds[0]:.1f} s and {seconds[1]:.1f} s, --timeout is {TIMEOUT}")
    for machine in machines:
        claim("multigan: error: another process" in machine.said, f"{machine.name} says why, in a line")

    print("\n(c) the link is restored, and the run is launched again with --resume")
    mend()
    machines = both(folder, "--resume", folder / "cut")
    codes, _ = wait(machines, PATIENCE)
    for machine in machines:
        machine.tell()
    claim(codes == [0, 0], "it continues")
    claim(outcome(folder / "cut") == expected, "and ends bit for bit as the run that was never cut")


def with_restarts(folder, expected, backend):
    print(f"\n(d) the link is cut for {TIMEOUT + GRACE} s, and the launchers restart the run: --rdzv_backend {backend}")
    launcher = ("--max_restarts", "5", "--rdzv_backend", backend)
    if backend == "c10d":
        # For this one, accelerate tells torch where to meet only if the hosts are said not to share a network.
        file = folder / "elsewhere.yaml"
        text = (ROOT / "configs" / "accelerate" / "multi_host.yaml").read_text()
        file.write_text(text.replace("same_network: true", "same_network: false"))
        launcher = (*launcher, "--config_file", file)
    name = f"restarted_{backend}"
    machines = both(folder, "--output", folder / name, launcher=launcher)
    wait_for(machines[0], CUT_AT)
    cut()
    time.sleep(TIMEOUT + GRACE)
    mend()
    codes, seconds = wait(machines, 2 * PATIENCE)
    for machine in machines:
        machine.tell()
    claim(codes == [0, 0], f"the launchers restart it: it ended {max(seconds):.1f} s after the link was mended")
    claim(outcome(folder / name) == expected, "and ends bit for bit as the run that was never cut")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    backends = ["static", "c10d"]
    parser.add_argument(
        "--restarts", nargs="*", default=["static"], choices=backends, help="rendezvous backends; empty skips it"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    remove()  # what an earlier try may have left
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            connect()
            expected = on_one_host(folder)
            over_two_hosts(folder, expected)
            with_the_link_cut(folder, expected)
            for backend in chosen.restarts:
                with_restarts(folder, expected, backend)
        print("\nverdict: all claims hold")
    except (FailedError, subprocess.CalledProcessError) as error:
        print(f"\nverdict: FAILED: {error} {getattr(error, 'stderr', '') or ''}")
        sys.exit(1)
    finally:
        remove()


if __name__ == "__main__":
    main()
