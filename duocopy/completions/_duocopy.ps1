
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'duocopy' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'duocopy'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'duocopy' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Copy SRC into this directory, instead of naming DST')
            [CompletionResult]::new('--target-directory', '--target-directory', [CompletionResultType]::ParameterName, 'Copy SRC into this directory, instead of naming DST')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Preserve the specified attributes [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Preserve the specified attributes [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'How to create holes in DST')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('-S', '-S ', [CompletionResultType]::ParameterName, 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]')
            [CompletionResult]::new('--suffix', '--suffix', [CompletionResultType]::ParameterName, 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u means --update=older')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u means --update=older')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before the copy counts as complete')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Limit reading to this many bytes per second (500K, 10M)')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to compare the copy with the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'Checksum algorithm')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Bypass the page cache [without a value: both]')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'If the other process dies, wait this long for a replacement: start the same command again')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users or containers can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Accept only processes of these users (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Accept only processes of users in these groups')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('-T', '-T ', [CompletionResultType]::ParameterName, 'Treat DST as a file; refuse it if it is a directory')
            [CompletionResult]::new('--no-target-directory', '--no-target-directory', [CompletionResultType]::ParameterName, 'Treat DST as a file; refuse it if it is a directory')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (the default, except for `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (the default, except for `write`)')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'Keep the old DST under another name, as with --backup without a value')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Do not replace DST if it exists; overrides --update')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Do not replace DST if it exists; overrides --update')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied after a failure or Ctrl-C, for the next run to resume')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Restart from the beginning, even if an interrupted copy could be resumed')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Keep the rights that this half does not need (docs/cli.md)')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what a copy would do, and change nothing; start it once')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Report the speed, the bottleneck, and how full the blocks were')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Also print events to standard output, one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('cp', 'cp', [CompletionResultType]::ParameterValue, 'Copy files with one command, which starts both processes')
            [CompletionResult]::new('read', 'read', [CompletionResultType]::ParameterValue, 'Read a file for a `duocopy write` with the same NAME; either may start first')
            [CompletionResult]::new('write', 'write', [CompletionResultType]::ParameterValue, 'Write what a `duocopy read` with the same NAME reads; either may start first')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the pipes that exist now, which processes use them, and which one waits')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'duocopy;cp' {
            [CompletionResult]::new('--reflink', '--reflink', [CompletionResultType]::ParameterName, 'When to share blocks with SRC [without a value: always]')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Copy SRC into this directory, instead of naming DST')
            [CompletionResult]::new('--target-directory', '--target-directory', [CompletionResultType]::ParameterName, 'Copy SRC into this directory, instead of naming DST')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Preserve the specified attributes [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Preserve the specified attributes [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'How to create holes in DST')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('-S', '-S ', [CompletionResultType]::ParameterName, 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]')
            [CompletionResult]::new('--suffix', '--suffix', [CompletionResultType]::ParameterName, 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u means --update=older')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u means --update=older')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before the copy counts as complete')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Limit reading to this many bytes per second (500K, 10M)')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to compare the copy with the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'Checksum algorithm')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Bypass the page cache [without a value: both]')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Copy symbolic links as links, and preserve everything: the same as -dR --preserve=all')
            [CompletionResult]::new('--archive', '--archive', [CompletionResultType]::ParameterName, 'Copy symbolic links as links, and preserve everything: the same as -dR --preserve=all')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'The same as -P --preserve=links')
            [CompletionResult]::new('-P', '-P ', [CompletionResultType]::ParameterName, 'Copy symbolic links as links')
            [CompletionResult]::new('--no-dereference', '--no-dereference', [CompletionResultType]::ParameterName, 'Copy symbolic links as links')
            [CompletionResult]::new('-L', '-L ', [CompletionResultType]::ParameterName, 'Copy the files that symbolic links lead to (the default without -a, -d, -P and -R)')
            [CompletionResult]::new('--dereference', '--dereference', [CompletionResultType]::ParameterName, 'Copy the files that symbolic links lead to (the default without -a, -d, -P and -R)')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'Copy the files that symbolic links on the command line lead to')
            [CompletionResult]::new('-R', '-R ', [CompletionResultType]::ParameterName, 'Copy symbolic links as links; directories are still refused')
            [CompletionResult]::new('--recursive', '--recursive', [CompletionResultType]::ParameterName, 'Copy symbolic links as links; directories are still refused')
            [CompletionResult]::new('--attributes-only', '--attributes-only', [CompletionResultType]::ParameterName, 'Copy only attributes (--preserve), and no content; an existing DST is changed in place')
            [CompletionResult]::new('--copy-contents', '--copy-contents', [CompletionResultType]::ParameterName, 'Also read SRC if it is a pipe or a device')
            [CompletionResult]::new('--parents', '--parents', [CompletionResultType]::ParameterName, 'Create the directories in the path of SRC below DST, which must be a directory')
            [CompletionResult]::new('--remove-destination', '--remove-destination', [CompletionResultType]::ParameterName, 'Replace DST even if it is a symbolic link, and take no attributes from it')
            [CompletionResult]::new('--strip-trailing-slashes', '--strip-trailing-slashes', [CompletionResultType]::ParameterName, 'Remove the slashes at the end of each SRC')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Ask before DST is replaced; overrides an earlier -n')
            [CompletionResult]::new('--interactive', '--interactive', [CompletionResultType]::ParameterName, 'Ask before DST is replaced; overrides an earlier -n')
            [CompletionResult]::new('--debug', '--debug', [CompletionResultType]::ParameterName, 'Say on standard output how each file is copied; implies -v there')
            [CompletionResult]::new('-T', '-T ', [CompletionResultType]::ParameterName, 'Treat DST as a file; refuse it if it is a directory')
            [CompletionResult]::new('--no-target-directory', '--no-target-directory', [CompletionResultType]::ParameterName, 'Treat DST as a file; refuse it if it is a directory')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (the default, except for `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (the default, except for `write`)')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'Keep the old DST under another name, as with --backup without a value')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Do not replace DST if it exists; overrides --update')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Do not replace DST if it exists; overrides --update')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied after a failure or Ctrl-C, for the next run to resume')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Restart from the beginning, even if an interrupted copy could be resumed')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Keep the rights that this half does not need (docs/cli.md)')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what a copy would do, and change nothing; start it once')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Report the speed, the bottleneck, and how full the blocks were')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Also print events to standard output, one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;read' {
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Limit reading to this many bytes per second (500K, 10M)')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to compare the copy with the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'Checksum algorithm')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Bypass the page cache [without a value: both]')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'If the other process dies, wait this long for a replacement: start the same command again')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users or containers can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Accept only processes of these users (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Accept only processes of users in these groups')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Keep the rights that this half does not need (docs/cli.md)')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what a copy would do, and change nothing; start it once')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Report the speed, the bottleneck, and how full the blocks were')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Also print events to standard output, one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;write' {
            [CompletionResult]::new('--max-bytes', '--max-bytes', [CompletionResultType]::ParameterName, 'Refuse a source that is longer (512M, 10G)')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Preserve the specified attributes [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Preserve the specified attributes [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'How to create holes in DST')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('-S', '-S ', [CompletionResultType]::ParameterName, 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]')
            [CompletionResult]::new('--suffix', '--suffix', [CompletionResultType]::ParameterName, 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before the copy counts as complete')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to compare the copy with the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'Checksum algorithm')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Bypass the page cache [without a value: both]')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'If the other process dies, wait this long for a replacement: start the same command again')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users or containers can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Accept only processes of these users (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Accept only processes of users in these groups')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'When to show progress [without a value: always]')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (the default, except for `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (the default, except for `write`)')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'Keep the old DST under another name, as with --backup without a value')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied after a failure or Ctrl-C, for the next run to resume')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Restart from the beginning, even if an interrupted copy could be resumed')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Keep the rights that this half does not need (docs/cli.md)')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what a copy would do, and change nothing; start it once')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Report the speed, the bottleneck, and how full the blocks were')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Also print events to standard output, one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Report nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Report what was chosen, and the checksum')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;status' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Show the pipes in this directory [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object per pipe, each on its own line (docs/cli.md)')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Repeat every second, until Ctrl-C')
            [CompletionResult]::new('--clean', '--clean', [CompletionResultType]::ParameterName, 'Remove the pipes that killed pairs left, and nothing else')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;help' {
            [CompletionResult]::new('cp', 'cp', [CompletionResultType]::ParameterValue, 'Copy files with one command, which starts both processes')
            [CompletionResult]::new('read', 'read', [CompletionResultType]::ParameterValue, 'Read a file for a `duocopy write` with the same NAME; either may start first')
            [CompletionResult]::new('write', 'write', [CompletionResultType]::ParameterValue, 'Write what a `duocopy read` with the same NAME reads; either may start first')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the pipes that exist now, which processes use them, and which one waits')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'duocopy;help;cp' {
            break
        }
        'duocopy;help;read' {
            break
        }
        'duocopy;help;write' {
            break
        }
        'duocopy;help;status' {
            break
        }
        'duocopy;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
