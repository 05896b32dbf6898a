/*
 * Scenarios of a twin (docs/twin.md): following and being promoted, cut like the rest.
 */
#ifndef FANAL_TORTURE_TWINS_H
#define FANAL_TORTURE_TWINS_H

#include "judge.h"
#include "scene.h"

void twins_follow_before(struct scene *x);
void twins_follow(struct scene *x);
void twins_promote_before(struct scene *x);
void twins_promote(struct scene *x);

/* Whatever is there follows, is promoted and goes on. */
void twins_again(struct scene *x);
/* A twin has what it acknowledged, follows and is promoted, so that there is a store to be judged. */
bool twins_ready(const char *dir, const struct tuning *t, const struct promises *p, struct error *err);
/* The first machine beside goes. */
void twins_done(void);

#endif
