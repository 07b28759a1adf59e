#!/bin/sh
# Puts a built application into the user's menu: `sh packaging/linux/install.sh [dist/legion-workbench]`.
# Copies it below ~/.local and adds a menu entry, an icon and the command `legion-workbench`; `--remove` takes all back.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-"$HOME/.local/share"}
place=$HOME/.local/opt/legion-workbench
command=$HOME/.local/bin/legion-workbench
entry=$data/applications/legion-workbench.desktop
icon=$data/icons/hicolor/scalable/apps/legion-workbench.svg

rm -rf "$place" "$command" "$entry" "$icon"
if [ "${1:-}" = "--remove" ]; then
  echo "Legion Workbench is gone from the menu; its data is untouched."
  exit 0
fi
built=${1:-"$here/../../dist/legion-workbench"}
mkdir -p "$(dirname "$place")" "$(dirname "$command")" "$(dirname "$entry")" "$(dirname "$icon")"
cp -R "$built" "$place"
ln -s "$place/legion-workbench" "$command"
cp "$here/legion-workbench.svg" "$icon"
sed "s|^Exec=.*|Exec=\"$place/legion-workbench\"|" "$here/legion-workbench.desktop" >"$entry"
echo "Legion Workbench is in the menu, and in the shell as $command"
