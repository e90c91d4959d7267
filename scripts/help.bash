# Sourced by a script here that stands in the project's folder: with -h or --help among its
# arguments it prints the comment at its top, and ends before it installs or builds anything.
for argument; do
  case $argument in
    -h | --help) exec sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "scripts/${0##*/}" ;;
  esac
done
