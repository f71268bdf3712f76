/** What encoder-decoders share: attention to oneself and to a source, the cache of both, the head. */
package dev.jotune.models.seq2seq;
