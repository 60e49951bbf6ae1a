//! Makes system calls inside another process, as an attacker that has taken over a half could.

use nix::libc::user_regs_struct;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Room for the arguments of a call.
const SCRATCH: u64 = 64 << 10;
/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// An argument of a system call.
pub enum Argument {
    Number(i64),
    /// Bytes whose address is passed to the call.
    Bytes(Vec<u8>),
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Argument {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Bytes([text.as_bytes(), b"\0"].concat())
    }
}

impl From<&Path> for Argument {
    fn from(path: &Path) -> Self {
        path.to_str().expect("a readable path").into()
    }
}

/// A process whose first thread is stopped, and makes calls for the test.
pub struct Tracee {
    process: Pid,
    memory: File,
    /// The address of a `syscall` instruction in the process.
    instruction: u64,
    registers: user_regs_struct,
    scratch: u64,
}

impl Tracee {
    /// Stops the first thread of this process, which is killed by its owner at the end of the test.
    pub fn stop(process: u32) -> Self {
        let process = Pid::from_raw(process.cast_signed());
        ptrace::seize(process, ptrace::Options::empty()).expect("tracing a process");
        ptrace::interrupt(process).expect("stopping a process");
        wait(process);
        let memory = File::options().read(true).write(true).open(format!("/proc/{process}/mem"));
        let memory = memory.expect("opening the memory of a process");
        let registers = ptrace::getregs(process).expect("reading registers");
        let instruction = find_instruction(process, &memory);
        let mut tracee = Self { process, memory, instruction, registers, scratch: 0 };
        // PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS
        let scratch = tracee.raw(libc::SYS_mmap, [0, SCRATCH.cast_signed(), 3, 0x22, -1, 0]);
        assert!(scratch > 0, "no room for arguments: {scratch}");
        tracee.scratch = scratch.cast_unsigned();
        tracee
    }

    /// Makes a call with numbers only. Returns the kernel's result: a negative number is an error.
    pub fn raw(&self, call: libc::c_long, arguments: [i64; 6]) -> i64 {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments.map(i64::cast_unsigned);
        let registers = user_regs_struct {
            rax: call.cast_unsigned(),
            // The kernel must not restart the call that was interrupted.
            orig_rax: u64::MAX,
            rip: self.instruction,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.registers
        };
        ptrace::setregs(self.process, registers).expect("setting registers");
        ptrace::step(self.process, None).expect("making a step");
        wait(self.process);
        ptrace::getregs(self.process).expect("reading registers").rax.cast_signed()
    }

    /// Makes a call. Returns the kernel's result: a negative number is an error.
    pub fn call<const N: usize>(&self, call: libc::c_long, arguments: [Argument; N]) -> i64 {
        let mut used = self.scratch;
        let mut numbers = [0; 6];
        for (number, argument) in numbers.iter_mut().zip(arguments) {
            *number = match argument {
                Argument::Number(number) => number,
                Argument::Bytes(bytes) => {
                    self.memory.write_all_at(&bytes, used).expect("writing into a process");
                    let at = used;
                    used += bytes.len().next_multiple_of(16) as u64;
                    at.cast_signed()
                }
            };
        }
        self.raw(call, numbers)
    }

    /// Returns the address of memory for the output of a call.
    pub fn buffer(&self) -> i64 {
        (self.scratch + SCRATCH / 2).cast_signed()
    }

    /// Returns the mode of an open file.
    pub fn mode_of(&self, descriptor: i64) -> i64 {
        let metadata = fs::metadata(format!("/proc/{}/fd/{descriptor}", self.process)).expect("it is open");
        (metadata.mode() & 0o7777).into()
    }

    /// Returns the descriptors that the process has, and what they lead to.
    pub fn descriptors(&self) -> Vec<(i64, String)> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.process)).expect("it lives");
        let one = |entry: fs::DirEntry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        };
        let mut all: Vec<_> = entries.flatten().filter_map(one).collect();
        all.sort();
        all
    }
}

fn wait(process: Pid) {
    let status = waitpid(process, Some(WaitPidFlag::__WALL)).expect("waiting for a process");
    let stopped = matches!(status, WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..));
    assert!(stopped, "it did not stop, but: {status:?}");
}

fn find_instruction(process: Pid, memory: &File) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("it lives");
    let executable = maps.lines().filter_map(|line| {
        let (addresses, rest) = line.split_once(' ')?;
        let (from, to) = addresses.split_once('-')?;
        let parse = |address| u64::from_str_radix(address, 16).ok();
        (rest.starts_with("r-x") && !rest.contains("vsyscall")).then_some((parse(from)?, parse(to)?))
    });
    let find = |(from, to): (u64, u64)| {
        let mut code = vec![0; usize::try_from(to - from).expect("it is mapped")];
        memory.read_exact_at(&mut code, from).ok()?;
        let at = code.windows(2).position(|two| two == SYSCALL)?;
        Some(from + at as u64)
    };
    executable.into_iter().find_map(find).expect("a process that makes system calls")
}
