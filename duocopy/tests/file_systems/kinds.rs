//! Makes and mounts each file system.

use crate::util::fuse::Misbehaving;
use crate::util::mounts::Mounted;
use crate::util::*;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// A file system to be tested.
pub struct Kind {
    /// The name in the table.
    pub name: &'static str,
    /// The programs that it needs, each with its package.
    programs: &'static [(&'static str, &'static str)],
    /// A shell script that makes it; then it is mounted at `fs`, unless a process serves it.
    make: &'static str,
    /// The command of the process that serves it; it stays mounted while that runs.
    serve: &'static str,
    /// The mounts below it, which are unmounted after it.
    below: &'static [&'static str],
    pub traits: Traits,
}

/// The properties that matter to the operations.
#[derive(Clone, Copy)]
pub struct Traits {
    /// True if it holds the sources, and nothing is written to it.
    pub is_source: bool,
    /// True for the file system of these tests, which can refuse calls.
    pub is_own: bool,
    /// The directory in which its files are stored, if that decides how much space they take and when it is full.
    pub stored: &'static str,
    /// True if files can have the mode 0600, so that a copy can be resumed.
    pub has_private_files: bool,
    /// The directory to which a file is uploaded after it is closed. Only then does it keep its times.
    pub uploads_to: Option<&'static str>,
}

const PLAIN: Traits =
    Traits { is_source: false, is_own: false, stored: "fs", has_private_files: true, uploads_to: None };
/// A file system that decides about modes itself.
const OPEN: Traits = Traits { has_private_files: false, ..PLAIN };

/// Makes a small disk at `below`, to which another file system passes everything on.
macro_rules! on_a_disk {
    ($($more:literal)?) => {
        concat!(
            "truncate -s 64M image; mkfs.ext4 -q -F -m 0 image; mkdir below; mount -o loop image below;",
            $($more)?
        )
    };
}

const NOTHING: Kind = Kind { name: "", programs: &[], make: "", serve: "", below: &[], traits: PLAIN };

const E2FSPROGS: &[(&str, &str)] = &[("mkfs.ext4", "e2fsprogs")];
const BTRFS: &[(&str, &str)] = &[("mkfs.btrfs", "btrfs-progs")];
const RCLONE: &[(&str, &str)] = &[("rclone", "rclone"), ("fusermount3", "fuse3"), ("mkfs.ext4", "e2fsprogs")];

/// All file systems, in the order of the table.
pub const KINDS: [Kind; 19] = [
    Kind {
        name: "ext4",
        programs: E2FSPROGS,
        make: "truncate -s 64M image; mkfs.ext4 -q -F -m 0 image; mount -o loop image fs",
        ..NOTHING
    },
    Kind {
        name: "ext4, inodes of 128 bytes",
        programs: E2FSPROGS,
        make: "truncate -s 64M image; mkfs.ext4 -q -F -m 0 -I 128 image; mount -o loop image fs",
        ..NOTHING
    },
    Kind {
        name: "ext3",
        programs: &[("mkfs.ext3", "e2fsprogs")],
        make: "truncate -s 64M image; mkfs.ext3 -q -F -m 0 image; mount -t ext3 -o loop image fs",
        ..NOTHING
    },
    Kind {
        name: "XFS",
        programs: &[("mkfs.xfs", "xfsprogs")],
        make: "truncate -s 300M image; mkfs.xfs -q image; mount -o loop image fs",
        ..NOTHING
    },
    Kind {
        name: "Btrfs",
        programs: BTRFS,
        make: "truncate -s 128M image; mkfs.btrfs -q image; mount -o loop image fs",
        ..NOTHING
    },
    Kind {
        name: "Btrfs, `compress-force=zstd`",
        programs: BTRFS,
        make: "truncate -s 128M image; mkfs.btrfs -q image; mount -o loop,compress-force=zstd image fs",
        ..NOTHING
    },
    Kind {
        name: "Btrfs with a quota",
        programs: BTRFS,
        make: "truncate -s 200M image; mkfs.btrfs -q image; mkdir below; mount -o loop image below
            btrfs quota enable below; btrfs subvolume create below/limited; btrfs qgroup limit 24M below/limited
            mount --bind below/limited fs",
        below: &["below"],
        ..NOTHING
    },
    Kind { name: "tmpfs", make: "mount -t tmpfs -o size=48m tmpfs fs", ..NOTHING },
    Kind {
        name: "overlayfs",
        programs: E2FSPROGS,
        make: on_a_disk!(
            "mkdir below/lower below/upper below/work
            mount -t overlay -o lowerdir=below/lower,upperdir=below/upper,workdir=below/work overlay fs"
        ),
        below: &["below"],
        ..NOTHING
    },
    Kind {
        name: "squashfs, as the source",
        programs: &[("mksquashfs", "squashfs-tools")],
        make: "mksquashfs sources image -quiet -no-progress >&2; mount -o loop image fs",
        traits: Traits { is_source: true, ..PLAIN },
        ..NOTHING
    },
    Kind {
        name: "bindfs",
        programs: &[("bindfs", "bindfs"), ("mkfs.ext4", "e2fsprogs")],
        make: on_a_disk!(),
        serve: "exec bindfs -f below fs",
        below: &["below"],
        ..NOTHING
    },
    Kind {
        name: "fuse-overlayfs",
        programs: &[("fuse-overlayfs", "fuse-overlayfs"), ("mkfs.ext4", "e2fsprogs")],
        make: on_a_disk!("mkdir below/lower below/upper below/work"),
        serve: "exec fuse-overlayfs -f -o lowerdir=below/lower,upperdir=below/upper,workdir=below/work fs",
        below: &["below"],
        ..NOTHING
    },
    Kind {
        name: "NTFS-3G",
        programs: &[("ntfs-3g", "ntfs-3g"), ("mkfs.ntfs", "ntfs-3g")],
        make: "truncate -s 64M image; mkfs.ntfs -q -F image",
        serve: "exec ntfs-3g -o no_detach image fs",
        traits: OPEN,
        ..NOTHING
    },
    Kind {
        name: "NTFS-3G, `permissions,acl`",
        programs: &[("ntfs-3g", "ntfs-3g"), ("mkfs.ntfs", "ntfs-3g")],
        make: "truncate -s 64M image; mkfs.ntfs -q -F image",
        serve: "exec ntfs-3g -o no_detach,permissions,acl image fs",
        ..NOTHING
    },
    Kind {
        name: "exfat-fuse",
        programs: &[("mount.exfat-fuse", "exfat-fuse"), ("mkfs.exfat", "exfatprogs")],
        make: "truncate -s 64M image; mkfs.exfat image",
        // A loop device that is detached while in use disappears once it is free.
        serve: "device=$(losetup --find --show image)
            $bound mount.exfat-fuse -d $device fs 2>/dev/null & server=$!
            until mountpoint -q fs || ! kill -0 $server 2>/dev/null; do sleep 0.05; done
            losetup -d $device; wait $server",
        traits: OPEN,
        ..NOTHING
    },
    Kind {
        name: "sshfs",
        programs: &[("sshfs", "sshfs"), ("/usr/sbin/sshd", "openssh-server"), ("mkfs.ext4", "e2fsprogs")],
        make: concat!(
            on_a_disk!(),
            "test -d /run/sshd || { mount -t tmpfs tmpfs /run; mkdir /run/sshd; }
            for key in host user; do ssh-keygen -q -t ed25519 -N '' -f $key; done"
        ),
        serve: "$bound /usr/sbin/sshd -D -e -f /dev/null -p $port -h $PWD/host -o ListenAddress=127.0.0.1 \\
                -o UsePAM=no -o AuthorizedKeysFile=$PWD/user.pub -o StrictModes=no -o PidFile=none \\
                -o 'Subsystem=sftp internal-sftp' & server=$!
            until (: <>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do kill -0 $server; sleep 0.05; done
            $bound sshfs -f -p $port \\
                -o IdentityFile=$PWD/user,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null \\
                root@127.0.0.1:$PWD/below fs
            kill $server",
        below: &["below"],
        traits: Traits { stored: "below", ..PLAIN },
    },
    Kind {
        name: "rclone mount, `--vfs-cache-mode=writes`",
        programs: RCLONE,
        make: on_a_disk!(),
        serve: "exec rclone mount --config= --cache-dir=$PWD/cache --vfs-cache-mode=writes --vfs-write-back=100ms \
                $PWD/below fs",
        below: &["below"],
        traits: Traits { uploads_to: Some("below"), ..OPEN },
    },
    Kind {
        name: "rclone mount",
        programs: RCLONE,
        make: on_a_disk!(),
        serve: "exec rclone mount --config= $PWD/below fs",
        below: &["below"],
        traits: OPEN,

    },
    Kind {
        name: "the FUSE file system of these tests",
        make: "rmdir fs",
        traits: Traits { is_own: true, ..PLAIN },
        ..NOTHING
    },
];

/// A file system that is mounted.
pub struct Place<'a> {
    pub folder: &'a Folder,
    pub traits: Traits,
    /// The directories of the sources and of the destinations.
    pub sources: &'static str,
    pub target: &'static str,
    // The fields are dropped in this order.
    own: Option<Misbehaving>,
    mounted: Option<Mounted<'a>>,
    server: Option<Server>,
    below: Vec<Mounted<'a>>,
}

impl Kind {
    /// Ends the test, and counts it as ignored, if something that this file system needs is missing.
    pub fn require(&self) {
        for (program, package) in self.programs {
            if !succeeds(Command::new("sh").args(["-c", &format!("command -v {program}")])) {
                harness::ignore(format!("`{program}` is missing (package {package})"));
            }
        }
    }

    /// Makes and mounts it at `fs`. The sources must be there.
    pub fn mount<'a>(&self, folder: &'a Folder) -> Place<'a> {
        folder.make("fs");
        folder.make("out");
        let below: Vec<_> = self.below.iter().map(|name| Mounted::at(folder, name)).collect();
        let mut command = Command::new("bash");
        command.args(["-euc", self.make]);
        let ended = folder.start(command, false).end();
        if ended.code != 0 {
            drop(below);
            harness::ignore(format!("{} cannot be mounted: {}", self.name, ended.messages.trim()));
        }
        let own = self.traits.is_own.then(|| folder.mount("fs", &[]));
        let mounted = own.is_none().then(|| Mounted::at(folder, "fs"));
        let server = (!self.serve.is_empty()).then(|| Server::start(folder, self.serve));
        let device = |name: &str| folder.path(name).metadata().map(|it| it.dev()).ok();
        until("mounting the file system", || {
            server.iter().for_each(Server::check);
            device("fs").filter(|found| Some(*found) != device(""))
        });
        let (sources, target) = if self.traits.is_source { ("fs", "out") } else { ("sources", "fs") };
        Place { folder, traits: self.traits, sources, target, own, mounted, server, below }
    }
}

/// The process that serves a file system. It ends once the file system is unmounted.
struct Server(Option<Process>);

impl Server {
    /// Runs this script. It ends with the test's process, and so does each program that it starts with `$bound`.
    fn start(folder: &Folder, script: &str) -> Self {
        const BOUND: &str = "setpriv --pdeathsig KILL";
        let mut words = BOUND.split(' ');
        let mut serve = Command::new(words.next().expect("a command"));
        serve.args(words).args(["bash", "-euc", script]).env("bound", BOUND);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        serve.env("port", port.expect("a free port").port().to_string());
        Self(Some(folder.start(serve, false)))
    }

    /// Fails if it has ended.
    fn check(&self) {
        let process = self.0.as_ref().expect("it is there until this is dropped");
        assert!(process.ended().is_none(), "{}", process.messages());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is killed if it does not end.
        self.0.take().map(|process| process.end_within(milliseconds(5000)));
    }
}

impl Place<'_> {
    /// Unmounts it.
    pub fn end(self) {
        drop(self.own);
        self.mounted.into_iter().for_each(Mounted::unmount);
        drop(self.server);
        self.below.into_iter().for_each(Mounted::unmount);
    }
}
