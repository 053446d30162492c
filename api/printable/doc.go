// Package printable makes text that somebody else wrote safe to show: what a member answers, what a tenant puts into an
// object, what a network peer says. It is pure.
//
// # Guarantees
//
// Text, Line and Writer leave no control character (C0, C1, DEL) but the line feed and the tab, no bidirectional control,
// no line or paragraph separator of Unicode, no invisible tag character and no byte that is not UTF-8. Each of these
// becomes visible, as \u001b. So no text moves the cursor of a terminal, sets its title, answers in the user's name,
// hides a part of itself or shows its letters in another order than it has them.
//
// All other text stays as it is, byte for byte, and costs no memory.
//
// # Considerations
//
// The escapes are those of JSON, so that text inside of a JSON string still is one after Writer and reads back as what
// it was. Joiners of zero width stay: Persian, the scripts of India and emoji need them.
package printable
