/**
 * DeBERTa-v2 and v3 (He et al., arXiv 2006.03654 and 2111.09543): the post-norm encoder around disentangled attention,
 * whose scores add content-to-position and position-to-content terms.
 */
package dev.jotune.models.deberta;
