"""`legion completion SHELL`: a static script, made of the commands as they are, so that completing starts nothing."""

import argparse

from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

Words = tuple[tuple[str, tuple[str, ...]], ...]
"""What may follow, by the words before it: `chain run` is a command, `chat --tier` an option with choices."""


def completion(setting: Setting, args: argparse.Namespace) -> Outcome:
    """The script for one shell."""
    from legion_core.surfaces.cli.tree import parser

    script = {"bash": bash, "zsh": zsh, "fish": fish}[args.shell](tuple(parser().words()))
    return Outcome({"shell": args.shell, "script": script}, script)


def bash(words: Words) -> str:
    """For bash 3.2 and later; where nothing is known, files are completed."""
    return f"""{_table(words)}
_legion() {{
  local path="" word here="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) if _legion_words "$path${{path:+ }}$word" >/dev/null; then path="$path${{path:+ }}$word"; fi ;; esac
  done
  local found
  found=$(_legion_words "$path${{path:+ }}$before" 2>/dev/null)
  case "$before" in -*) [ -n "$found" ] || found= ;; *) found=$(_legion_words "$path") ;; esac
  COMPREPLY=($(compgen -W "$found" -- "$here"))
}}
complete -o default -F _legion legion"""


def zsh(words: Words) -> str:
    """For zsh, as a function on its `fpath`; where nothing known fits, files are completed."""
    return f"""#compdef legion
{_table(words)}
_legion() {{
  local at="" word before="${{words[CURRENT-1]}}" found
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$word" in -*) ;; *) if _legion_words "$at${{at:+ }}$word" >/dev/null; then at="$at${{at:+ }}$word"; fi ;; esac
  done
  case "$before" in
    -*) found=$(_legion_words "$at${{at:+ }}$before") ;;
    *) found=$(_legion_words "$at") ;;
  esac
  if [[ -n "$found" ]] && compadd -- ${{=found}}; then return; fi
  _files
}}
if [[ "$funcstack[1]" = "_legion" ]]; then _legion "$@"; else compdef _legion legion; fi"""


def fish(words: Words) -> str:
    """For fish 3.0 and later; where nothing known fits, files are completed."""
    return f"""function __legion_words
  switch "$argv[1]"
{"".join(f"    case '{path}'{chr(10)}      string split -- ' ' '{' '.join(found)}'{chr(10)}" for path, found in words)}    case '*'
      return 1
  end
end
function __legion_complete
  set -l at ''
  for word in (commandline -opc)[2..-1]
    if not string match -q -- '-*' $word; and __legion_words (string trim "$at $word") >/dev/null
      set at (string trim "$at $word")
    end
  end
  set -l before (commandline -opc)[-1]
  set -l here (commandline -ct)
  set -l found
  if string match -q -- '-*' $before
    set found (__legion_words (string trim "$at $before")); or set found (__legion_words "$at")
  else
    set found (__legion_words "$at")
  end
  if string match -q -- "$here*" $found
    printf '%s\n' $found
  else
    __fish_complete_path "$here"
  end
end
complete -c legion -f -a '(__legion_complete)'"""


def _table(words: Words) -> str:
    cases = "".join(f'    "{path}") echo "{" ".join(found)}" ;;\n' for path, found in words)
    return f'_legion_words() {{\n  case "$1" in\n{cases}    *) return 1 ;;\n  esac\n}}'


ACTIONS: Actions = {None: completion}
