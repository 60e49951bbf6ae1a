
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
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Put SRC into this directory; then there is no DST')
            [CompletionResult]::new('--target-directory', '--target-directory', [CompletionResultType]::ParameterName, 'Put SRC into this directory; then there is no DST')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Read at most so many bytes per second, evenly (500K, 10M)')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Refuse a partner of any other user than these (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Refuse a partner whose user belongs to none of these groups')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Read and write past the page cache, straight from and to the disk; alone it means both')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before a copy counts as complete')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to make sure that the copy is the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'What to compute of the content')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'Which zeros take no space in DST')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'Wait so long for a new partner when the other process has died: start the same command again')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('-T', '-T ', [CompletionResultType]::ParameterName, 'Take DST for a file, and never for a directory to put it in')
            [CompletionResult]::new('--no-target-directory', '--no-target-directory', [CompletionResultType]::ParameterName, 'Take DST for a file, and never for a directory to put it in')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done; start it once')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Start over, whatever an interrupted copy left')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Say at the end how fast it was, who waited for whom, and how full the blocks were')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Do not give up the rights that a half does not need (docs/cli.md)')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('cp', 'cp', [CompletionResultType]::ParameterValue, 'Copy a file with one command, which starts both processes')
            [CompletionResult]::new('read', 'read', [CompletionResultType]::ParameterValue, 'Read a file for a `duocopy write` under the same NAME, which may come first')
            [CompletionResult]::new('write', 'write', [CompletionResultType]::ParameterValue, 'Write what a `duocopy read` under the same NAME reads; it may come later')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the pipes that are there now, who is at them and who waits for whom; disturbs nobody')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'duocopy;cp' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Put SRC into this directory; then there is no DST')
            [CompletionResult]::new('--target-directory', '--target-directory', [CompletionResultType]::ParameterName, 'Put SRC into this directory; then there is no DST')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Read at most so many bytes per second, evenly (500K, 10M)')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Read and write past the page cache, straight from and to the disk; alone it means both')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before a copy counts as complete')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to make sure that the copy is the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'What to compute of the content')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'Which zeros take no space in DST')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Refuse a partner of any other user than these (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Refuse a partner whose user belongs to none of these groups')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'Wait so long for a new partner when the other process has died: start the same command again')
            [CompletionResult]::new('-T', '-T ', [CompletionResultType]::ParameterName, 'Take DST for a file, and never for a directory to put it in')
            [CompletionResult]::new('--no-target-directory', '--no-target-directory', [CompletionResultType]::ParameterName, 'Take DST for a file, and never for a directory to put it in')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done; start it once')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Start over, whatever an interrupted copy left')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Say at the end how fast it was, who waited for whom, and how full the blocks were')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Do not give up the rights that a half does not need (docs/cli.md)')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;read' {
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Read at most so many bytes per second, evenly (500K, 10M)')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Refuse a partner of any other user than these (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Refuse a partner whose user belongs to none of these groups')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Read and write past the page cache, straight from and to the disk; alone it means both')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to make sure that the copy is the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'What to compute of the content')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'Wait so long for a new partner when the other process has died: start the same command again')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before a copy counts as complete')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'Which zeros take no space in DST')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done; start it once')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Say at the end how fast it was, who waited for whom, and how full the blocks were')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Do not give up the rights that a half does not need (docs/cli.md)')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Start over, whatever an interrupted copy left')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;write' {
            [CompletionResult]::new('--max-bytes', '--max-bytes', [CompletionResultType]::ParameterName, 'Refuse a source that is longer (512M, 10G)')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]')
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--peer-user', '--peer-user', [CompletionResultType]::ParameterName, 'Refuse a partner of any other user than these (names or numbers)')
            [CompletionResult]::new('--peer-group', '--peer-group', [CompletionResultType]::ParameterName, 'Refuse a partner whose user belongs to none of these groups')
            [CompletionResult]::new('--direct', '--direct', [CompletionResultType]::ParameterName, 'Read and write past the page cache, straight from and to the disk; alone it means both')
            [CompletionResult]::new('--fsync', '--fsync', [CompletionResultType]::ParameterName, 'What must be on the disk before a copy counts as complete')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'How to make sure that the copy is the source')
            [CompletionResult]::new('--hash', '--hash', [CompletionResultType]::ParameterName, 'What to compute of the content')
            [CompletionResult]::new('--sparse', '--sparse', [CompletionResultType]::ParameterName, 'Which zeros take no space in DST')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--preserve', '--preserve', [CompletionResultType]::ParameterName, 'Take these over from SRC [without a list: mode,ownership,timestamps]')
            [CompletionResult]::new('--backup', '--backup', [CompletionResultType]::ParameterName, 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]')
            [CompletionResult]::new('--replace-within', '--replace-within', [CompletionResultType]::ParameterName, 'Wait so long for a new partner when the other process has died: start the same command again')
            [CompletionResult]::new('-g', '-g', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Show progress; alone it means always')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'What to do if DST exists; -u is --update=older')
            [CompletionResult]::new('--block-size', '--block-size', [CompletionResultType]::ParameterName, 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]')
            [CompletionResult]::new('--buffer-size', '--buffer-size', [CompletionResultType]::ParameterName, 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]')
            [CompletionResult]::new('--bwlimit', '--bwlimit', [CompletionResultType]::ParameterName, 'Read at most so many bytes per second, evenly (500K, 10M)')
            [CompletionResult]::new('--drop-cache', '--drop-cache', [CompletionResultType]::ParameterName, 'Leave nothing of the files in the page cache')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace DST if it exists (what is done anyway, except by `write`)')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done; start it once')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time')
            [CompletionResult]::new('--no-resume', '--no-resume', [CompletionResultType]::ParameterName, 'Start over, whatever an interrupted copy left')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Say at the end how fast it was, who waited for whom, and how full the blocks were')
            [CompletionResult]::new('--no-sandbox', '--no-sandbox', [CompletionResultType]::ParameterName, 'Do not give up the rights that a half does not need (docs/cli.md)')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say what was chosen, and the checksum')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('--no-clobber', '--no-clobber', [CompletionResultType]::ParameterName, 'Leave DST as it is if it exists, whatever --update says')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;status' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Look into this directory [default: `DUOCOPY_DIR`, or this user''s own]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object per line and pipe (docs/cli.md)')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Look again every second, until Ctrl-C')
            [CompletionResult]::new('--clean', '--clean', [CompletionResultType]::ParameterName, 'Remove what killed pairs have left, and nothing else')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'duocopy;help' {
            [CompletionResult]::new('cp', 'cp', [CompletionResultType]::ParameterValue, 'Copy a file with one command, which starts both processes')
            [CompletionResult]::new('read', 'read', [CompletionResultType]::ParameterValue, 'Read a file for a `duocopy write` under the same NAME, which may come first')
            [CompletionResult]::new('write', 'write', [CompletionResultType]::ParameterValue, 'Write what a `duocopy read` under the same NAME reads; it may come later')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the pipes that are there now, who is at them and who waits for whom; disturbs nobody')
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
