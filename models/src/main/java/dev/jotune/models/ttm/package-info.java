/** Tiny Time Mixers: small pre-trained models that forecast time series without having seen them. */
package dev.jotune.models.ttm;
