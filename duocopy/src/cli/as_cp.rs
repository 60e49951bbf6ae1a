//! The options that only `duocopy cp` has, with the meaning that GNU `cp` gives them.

use super::values::{REFLINK, Reflink, all_that_can_be_preserved, choice};
use clap::{ArgMatches, Args};
use duocopy::{Request, SourceLinks};
use std::path::PathBuf;

/// The options that only `duocopy cp` has.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is copied")]
#[expect(clippy::struct_excessive_bools, reason = "flags are what people type")]
pub struct AsCp {
    /// Copy symbolic links as links, and preserve everything: the same as -dR --preserve=all
    #[arg(short, long)]
    archive: bool,

    /// The same as -P --preserve=links
    #[arg(short = 'd')]
    links: bool,

    /// Copy symbolic links as links
    #[arg(short = 'P', long)]
    no_dereference: bool,

    /// Copy the files that symbolic links lead to (the default without -a, -d, -P and -R)
    #[arg(short = 'L', long)]
    dereference: bool,

    /// Copy the files that symbolic links on the command line lead to
    #[arg(short = 'H')]
    dereference_arguments: bool,

    /// Copy symbolic links as links; directories are still refused
    #[arg(short = 'R', short_alias = 'r', long)]
    recursive: bool,

    /// Copy only attributes (--preserve), and no content; an existing DST is changed in place
    #[arg(long)]
    attributes_only: bool,

    /// Also read SRC if it is a pipe or a device
    #[arg(long)]
    copy_contents: bool,

    /// Create the directories in the path of SRC below DST, which must be a directory
    #[arg(long, conflicts_with_all = ["no_target_directory", "dry_run"])]
    parents: bool,

    /// Replace DST even if it is a symbolic link, and take no attributes from it
    #[arg(long)]
    remove_destination: bool,

    /// Remove the slashes at the end of each SRC
    #[arg(long)]
    strip_trailing_slashes: bool,

    /// When to share blocks with SRC [without a value: always]
    #[arg(
        long, value_name = "WHEN", num_args = 0..=1, require_equals = true, value_parser = choice(REFLINK),
        default_missing_value = "always", overrides_with = "reflink"
    )]
    reflink: Option<Reflink>,

    /// Ask before DST is replaced; overrides an earlier -n
    #[arg(short, long, overrides_with = "no_clobber")]
    interactive: bool,

    /// Say on standard output how each file is copied; implies -v there
    #[arg(long, help_heading = "Output")]
    debug: bool,
}

/// The actions of `cp` besides copying each source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "flags are what people type")]
pub struct Manner {
    /// Ask before a file is replaced.
    pub asks: bool,
    /// Write both names to standard output once a source is copied.
    pub names: bool,
    /// Also write how it was copied.
    pub explains: bool,
    /// Create the directories of each source's path below the destination.
    pub parents: bool,
    /// The user wants a copy that shares its blocks with the source.
    pub must_share: bool,
    /// An ordinary user who copies a file of somebody else does not get its owner, and nothing failed.
    pub forgives_owner: bool,
    /// The user wants no copy that shares its blocks with the source.
    pub must_not_share: bool,
}

impl AsCp {
    /// Applies these options. `typed` knows the order in which they were given.
    pub fn apply(&self, request: &mut Request, typed: &ArgMatches) {
        let links = [
            ("archive", self.archive, SourceLinks::Copy),
            ("links", self.links, SourceLinks::Copy),
            ("no_dereference", self.no_dereference, SourceLinks::Copy),
            ("dereference", self.dereference, SourceLinks::Follow),
            ("dereference_arguments", self.dereference_arguments, SourceLinks::Follow),
        ];
        let last = links.into_iter().filter(|(_, given, _)| *given).max_by_key(|(id, ..)| typed.index_of(id));
        let usual = if self.recursive { SourceLinks::Copy } else { SourceLinks::Follow };
        request.source_links = last.map_or(usual, |(.., links)| links);
        if self.archive {
            request.preserve = all_that_can_be_preserved();
        }
        request.only_attributes = self.attributes_only;
        request.read_streams = self.copy_contents;
        request.remove_destination = self.remove_destination;
    }

    /// Returns the path of a source as it is to be copied, given the path that the user typed.
    pub fn source(&self, typed: PathBuf) -> PathBuf {
        // The components of a path have no slash at their end.
        if self.strip_trailing_slashes { typed.components().collect() } else { typed }
    }

    pub fn manner(&self, verbose: bool) -> Manner {
        Manner {
            asks: self.interactive,
            names: verbose || self.debug,
            explains: self.debug,
            parents: self.parents,
            must_share: self.reflink == Some(Reflink::Always) && !self.attributes_only,
            forgives_owner: true,
            must_not_share: self.reflink == Some(Reflink::Never),
        }
    }
}
