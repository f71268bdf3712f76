package dev.jotune.models.seq2seq;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import java.util.List;
import java.util.Map;

/**
 * Keys and values by name: as a past of the decoder ({@code key.0}), which stands for positions, or in every attention
 * ({@code encoder.key.0}, {@code decoder.key.0}, {@code cross.key.0}), where they stand for none.
 */
record GivenKeys(Map<String, Var> named, boolean past) implements SegmentSource {
    @Override
    public List<List<Attention.Segment>> segments(List<AttentionSite> sites, Pass pass) {
        return sites.stream().map(s -> {
            String part = past ? "" : switch (s.kind()) {
                case BIDIRECTIONAL -> "encoder.";
                case CAUSAL -> "decoder.";
                case CROSS -> "cross.";
            };
            boolean takes = !past || s.kind() == AttentionSite.Kind.CAUSAL;
            return takes ? List.of(new Attention.Segment(named.get(part + "key." + s.layer()), named.get(part + "value." + s.layer()),
                    Attention.Visible.ALL)) : List.<Attention.Segment>of();
        }).toList();
    }

    @Override
    public long positions() {
        return past ? named.get("key.0").size(2) : 0;
    }

    @Override
    public long positions(String site) {
        return site.equals("decoder.embed") ? positions() : 0;
    }
}
