// Command hanse is the one binary of Hanse: the hub, its agents and its command line.
package main
