/*
 * The relay's process: posts what the vault hands it to the anchors of fanal.conf, and brings back what they answer.
 *
 * Holds outbound sockets and the trust anchors of its destinations, which START brings as bytes; no key of the vault, no
 * file, nothing that listens. What it is given to post is public (checkpoints, proofs, hashes); what it brings back is
 * believed by nobody before the vault has checked its signature. docs/channel.md ("The relay") is its protocol.
 */
#ifndef FANAL_RELAY_ROLE_H
#define FANAL_RELAY_ROLE_H

#define RELAY_DESTINATIONS_MAX 16 /* anchors of one fanal.conf */
#define RELAY_BODY_MAX         ((size_t)32 * 1024) /* of one POST: a note and a proof have 16 KiB at most */

int relay_role_run(int control_fd);

#endif
