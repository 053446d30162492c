#!/bin/sh
# What the program web (see the folder web) does with these arguments, for clusters whose pods run no image.
case "$1" in
say)
	shift
	echo "$@"
	;;
echo)
	IFS= read -r line && echo "$line"
	;;
fail)
	echo "failing as asked" >&2
	exit "$2"
	;;
print) # what the container itself would print: those who are attached see it
	shift
	echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) stdout F $*" >>output
	;;
sizes)
	last=
	while now=$(stty size 2>/dev/null); do
		[ "$now" = "$last" ] || echo "terminal of $now"
		last=$now
		sleep 0.1
	done
	echo "no terminal"
	;;
serve) # one HTTP request from the standard input
	while IFS= read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
	printf 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s version 1\n' $((${#2} + 11)) "$2"
	;;
*)
	echo "web: no argument $1" >&2
	exit 2
	;;
esac
