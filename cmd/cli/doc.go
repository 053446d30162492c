// Package cli is the command line of Hanse: one file a subcommand. Flags end here and become a Config of cmd/hub or a
// request of the package that does the work; nothing below this package knows of flags, files of the user, or
// terminals.
//
// The program is called hanse, or kubectl-hanse to be used as "kubectl hanse".
//
// What was asked for goes to standard output: a short table for people, or -o json, yaml, name or wide. Everything else
// (progress, notes, errors) goes to standard error. Progress is shown only of what takes longer than a second.
//
//	0  done, and all is as asked
//	1  refused or failed; standard error says what, where, and what to do next
//	2  the command line is wrong; nothing was done
//	3  done, but not (yet) as asked: a wait ended, or what was asked about is not Ready
//	4  the hub (or the cluster that is to join) cannot be reached, or does not accept the credentials
//
// hanse exec ends with the exit code of the command that it ran.
//
// describe, apply, edit and delete are kubectl's job: the hub speaks its language. Only what kubectl cannot say
// is here; get, logs and exec are about all members at once.
package cli
