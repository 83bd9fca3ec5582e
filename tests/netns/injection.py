"""Makes another process call the kernel: ptrace stops one of its threads in a system call and lets it do one of ours (x86-64 only).

So a test asks the running gateway itself what it may do, and not a copy of it that was built for the test.
"""
import contextlib
import ctypes
import errno
import os
import platform

PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SYSCALL = 12, 13, 16, 17, 24
WALL = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
FIELDS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()
CALLS = {"read": 0, "getpid": 39, "socket": 41, "openat": 257, "execve": 59, "ptrace": 101, "prctl": 157, "mount": 165, "capget": 125, "setns": 308, "unshare": 272}


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in FIELDS]


def ptrace(request, pid, data=None):
    if LIBC.ptrace(request, pid, None, data) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace request {request}")


def wait_for_stop(pid):
    _, status = os.waitpid(pid, WALL)
    assert os.WIFSTOPPED(status), status


class Injection:
    """`with Injection(pid) as inside: inside.call("socket", 17, 2, 0)` answers as the kernel does: a number, negative for an errno."""

    def __init__(self, pid):
        assert platform.machine() == "x86_64"
        self.pid = pid

    def __enter__(self):
        ptrace(PTRACE_ATTACH, self.pid)
        wait_for_stop(self.pid)
        self.saved = self.registers()
        if ctypes.c_int64(self.saved.orig_rax).value >= 0:  # asleep in a system call: the instruction before the one where it goes on is `syscall`
            self.instruction = self.saved.rip - 2
        else:
            self.stop_before_its_next_call()
        return self

    def registers(self):
        registers = Registers()
        ptrace(PTRACE_GETREGS, self.pid, ctypes.byref(registers))
        return registers

    def step(self):
        """To the entry of the next system call, or from there to its exit."""
        ptrace(PTRACE_SYSCALL, self.pid)
        wait_for_stop(self.pid)

    def stop_before_its_next_call(self):
        """Its own code was running: a harmless call takes the place of the one that it makes next, which is made when it is let go."""
        self.step()
        self.saved = self.registers()
        harmless = Registers.from_buffer_copy(self.saved)
        harmless.orig_rax, harmless.rdi = CALLS["read"], ctypes.c_uint64(-1).value
        ptrace(PTRACE_SETREGS, self.pid, ctypes.byref(harmless))
        self.step()
        self.saved.rip -= 2
        self.saved.rax, self.saved.orig_rax = self.saved.orig_rax, ctypes.c_uint64(-1).value
        self.instruction = self.saved.rip

    def call(self, name, *arguments):
        registers = Registers.from_buffer_copy(self.saved)
        registers.rip = self.instruction
        registers.rax = CALLS[name]
        registers.orig_rax = ctypes.c_uint64(-1).value  # so that the interrupted call is not begun again
        for register, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), list(arguments) + [0] * 6):
            setattr(registers, register, ctypes.c_uint64(value).value)
        ptrace(PTRACE_SETREGS, self.pid, ctypes.byref(registers))
        for _ in range(2):  # to the entry, to the exit
            self.step()
        return ctypes.c_int64(self.registers().rax).value

    def text(self, string):
        """The address of a text in the process's own memory, on its stack: far below what it uses."""
        address = (self.saved.rsp - 8192) & ~15
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(string.encode() + b"\0")
        return address

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            ptrace(PTRACE_SETREGS, self.pid, ctypes.byref(self.saved))
            ptrace(PTRACE_DETACH, self.pid)


EPERM, EACCES = -errno.EPERM, -errno.EACCES
