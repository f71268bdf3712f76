package dev.jotune.models.hub;

/** A process that pulls, to be killed. */
final class PullMain {

    private PullMain() {}

    public static void main(String[] args) {
        new Hub(HubSettings.fromEnvironment()).pull(RepoId.of("maker/tiny-model").orElseThrow(), "main", Selection.MODEL,
                new PullListener() { });
    }
}
