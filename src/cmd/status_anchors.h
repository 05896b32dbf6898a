/* The part of `fanal status` that is about anchors: the keys that others are to know, and how each anchor is. */
#ifndef FANAL_CMD_STATUS_ANCHORS_H
#define FANAL_CMD_STATUS_ANCHORS_H

#include "channel/session.h"

/* Lines for people, or members of the JSON object that is open: each begins with ", ". */
bool status_anchors(struct session *s, bool json, struct error *err);

#endif
