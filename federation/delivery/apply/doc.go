// Package apply puts one object into one member, takes it out again, or says what putting it there would change. Every
// call ends in a Result: a verdict for the record, a reason for programs, a message for people, and when to try again.
//
// # Whose is it
//
// Every object that the hub makes in a member carries
//
//	label       hanse.io/hub=<hub id>          whose it is; the members' informers select by it
//	annotation  hanse.io/template=<uid>        which template it came from
//	annotation  hanse.io/adopted=true          only if it was there before us
//	annotation  hanse.io/fields=<digest>       which fields we set, to tell drift from somebody else's field
//
// and its fields belong to the field manager "hanse". An object without the label, with another hub's, or with another
// template's UID is foreign. A foreign object is never changed unless OnConflict says so, and never deleted: an object
// that was adopted is left in place when its template goes, without our marks.
//
// # One request
//
// Server-side apply is an upsert: a bare apply would merge our fields into whatever has that name, and an informer that
// selects by our label cannot warn of it. So an object that is not in our cache is applied with a resource version that
// no stored object can have. The server drops it when it creates the object, and answers 409 when there is one: the
// check and the write are one step in the member's etcd. Only then do we look (GET) and decide. An object of ours is
// applied with its UID, so that it cannot be swapped under our hands. Both are one request when all goes well.
//
// # Force
//
// An apply is first sent without force. When the server names fields of other managers, those that we have set before
// (the digest says so) were taken from us, which is drift, and are forced back. A field that we set for the first time
// and that somebody else owns is a conflict: it is reported with the owner's name, and OnConflict: Overwrite takes it.
//
// # Dropped fields
//
// A field that the template does not set any more goes, unless somebody has changed it in the member meanwhile: it is
// theirs by then, and stays, as if they had written it after it was dropped. Drift that is repaired makes it ours
// again, so this takes a change that comes at the same time, in a member that is cut off or paused, or drift that is
// only reported. It is told, once, with the fields and their managers. To remove it by force would end what a
// controller there has made its own: replicas that are removed are one. An element of a list that is ours goes with
// all that is in it.
//
// # Ignored fields
//
// A field that is ignored is sent when the object is made. Afterwards it is sent as the member has it as long as it is
// ours, since server-side apply removes what its only owner leaves out, and left out as soon as it is somebody else's. That
// takes a look at the object, whose resource version is then the precondition.
//
// # Recreation
//
// Kubernetes refuses some changes for good. On request such an object is deleted, with what we saw as the precondition,
// and made anew, if it is ours alone and no data goes with it (see irreplaceable).
//
// # Fingerprint
//
// Any other writer that changes a field of ours takes it out of our entry in metadata.managedFields. One that writes
// under our name does not: this hub before it was restored from a backup, or another hub of the same identity. So the
// fingerprint has the UID, that entry, and the values of the fields in it. It tells whether an object still is as we
// applied it, without a copy of what we applied, and also after the hub restarted, was taken over or restored. See
// Fingerprint and Seal.
//
// # Guarantees
//
//   - No call changes or deletes a foreign object, also when it appears between our look and our write.
//   - No call waits: a member that asks for patience (429, Retry-After) ends the call with RetryAfter set.
//   - No call is retried inside, except that a precondition that fails is answered with one look and one more try.
//   - The input object is not changed.
//
// # Considerations
//
// POST create and converting the ownership afterwards (client-go's csaupgrade) was the alternative for the first write.
// It is two requests, and an object between the two has fields that a later apply cannot remove.
package apply
