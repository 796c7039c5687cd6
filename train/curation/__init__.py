"""From clips to training pairs: what is kept, which face serves which clip, in which order.

Everything here is a pure function of arrays, so that footage and rendered clips go through the same rules. A
*track* is one person in one clip; a *face* is one of the reference pictures stored of a track. A *pair* is a
row (track, face). Axes: N faces, D embedding, T tracks, V clips, J sampled frames of a clip, P people of a
clip, M pairs.
"""
