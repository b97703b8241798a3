"""Real shells complete `landfall` by the scripts that it prints, and the real `man` reads its pages: from a page of the
command line's own reference every command has one. Both versions that `landfall` says are as short or as long as meant.
"""

import os
import pathlib
import re
import subprocess

LANDFALL = os.environ["LANDFALL"]
REFERENCE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "reference" / "cli.md"
HOME = pathlib.Path.cwd() / "home"
HOME.mkdir()
# The shells find the command that they complete, and read no settings of whoever runs this.
(HOME / "bin").mkdir()
(HOME / "bin" / "landfall").symlink_to(LANDFALL)
SURROUNDINGS = {
    "PATH": f"{HOME / 'bin'}:{os.environ['PATH']}", "HOME": str(HOME), "XDG_CONFIG_HOME": str(HOME), "XDG_DATA_HOME": str(HOME),
    "TERM": "dumb", "LC_ALL": "C.UTF-8", "MANWIDTH": "100",
}


def said(*words):
    done = subprocess.run(words, capture_output=True, text=True, env=SURROUNDINGS, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and not done.stderr, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def kept(shell, name):
    script = HOME / name
    script.write_text(said(LANDFALL, "completions", shell))
    return str(script)


# What each shell is to offer for a line that ends where the user stands.
LINES = {
    "landfall registr": {"registration"},
    "landfall enrollment cre": {"create"},
    "landfall enrollment create --attestation-t": {"--attestation-type"},
    "landfall enrollment create --attestation-type symm": {"symmetricKey"},
    "landfall refer": set(),
}

bash = kept("bash", "landfall.bash")
said("bash", "-n", bash)
for line, wanted in LINES.items():
    words = line.split(" ")
    asked = f"""
        source {bash}
        COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}
        complete -p landfall | grep -q -- '-F _landfall'
        _landfall landfall {words[-1]} {words[-2]} || test -z "${{COMPREPLY[*]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    offered = said("bash", "--norc", "-ec", asked)
    assert set(offered.split()) == wanted, f"bash: {line}: {offered}"

fish = kept("fish", "landfall.fish")
said("fish", "--no-execute", fish)
for line, wanted in LINES.items():
    offered = said("fish", "--no-config", "-c", f"source {fish}; complete --do-complete '{line}'")
    assert {offer.split("\t")[0] for offer in offered.splitlines()} == wanted, f"fish: {line}: {offered}"

(HOME / "functions").mkdir()
zsh = kept("zsh", "functions/_landfall")
said("zsh", "-n", zsh)
# A shell on a terminal of its own, asked by the key that people press; a marker says when it has answered.
ZSH = r"""
    zmodload zsh/zpty
    zpty asked zsh -f -i
    zpty -w asked "PS1= fpath=($HOME/functions \$fpath); autoload -Uz compinit; compinit -u -d $HOME/dump; zstyle ':completion:*' list-colors ''"
    zpty -w asked $'bindkey "^I" complete-word; complete-and-say() { zle complete-word; print -r -- "<<$BUFFER>>"; zle send-break }; zle -N complete-and-say; bindkey "^X" complete-and-say'
    zpty -w asked 'print READY-NOW'
    zpty -r -m asked text '*READY-NOW*READY-NOW*'
    zpty -w -n asked "$1"$'\x18'
    zpty -r -m asked text '*<<*>>*'
    print -r -- "$text"
    zpty -d asked
"""
for line, wanted in LINES.items():
    answer = said("zsh", "-f", "-c", ZSH, "zsh", line)
    became = re.findall(r"<<(.*?)>>", answer)[-1].rstrip(" =")
    expected = " ".join(line.split(" ")[:-1] + sorted(wanted)) if wanted else line
    assert became == expected, f"zsh: {line} became {became!r}\n{answer}"

pages = HOME / "man" / "man1"
said(LANDFALL, "man", "--out", str(pages))
commands = re.findall(r"^## `(landfall [a-z -]+)`$", REFERENCE.read_text(), re.MULTILINE)
assert len(commands) > 50, commands
for command in commands:
    page = pages / (command.replace(" ", "-") + ".1")
    text = said("man", "--warnings", "--local-file", str(page))
    for part in ["NAME", "SYNOPSIS", f"{command}", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]:
        assert part in text, f"{page.name}: {part}\n{text}"
    assert f"{page.stem} - " in said("lexgrog", str(page))
first = said("man", "--warnings", "--local-file", str(pages / "landfall.1"))
assert "landfall-enrollment(1)" in first and "reference" not in first, first
assert said(LANDFALL, "man") == (pages / "landfall.1").read_text()

short, long = said(LANDFALL, "-V").strip(), said(LANDFALL, "--version").strip()
assert re.fullmatch(r"landfall \d+\.\d+\.\d+", short), short
assert re.fullmatch(re.escape(short) + r" \(commit ([0-9a-f]{12}|unknown)\)", long), long

print(f"three shells completed {len(LINES)} lines each, man read {len(commands) + 1} pages; {long}")
