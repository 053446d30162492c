// Package story plays golden stories in tests: text that people read as a manual and that a test holds the code to.
//
// A file of testdata holds stories, each begun by a "## title". A story holds steps: lines that change the world,
// "----", and what is told of it then, up to an empty line. Lines that are empty or begin with "#" are for readers.
//
// # Guarantees
//
// A story that is told differently is an error with the difference. With -update the file is rewritten as the story is
// told now; a file of which not every story was played to its end is left alone.
//
// # Considerations
//
// It is imported by tests only. What the lines mean is each test's own: there is no language here.
package story
