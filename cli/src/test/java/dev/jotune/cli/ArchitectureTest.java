package dev.jotune.cli;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The arrows between the modules, and what may know what. */
class ArchitectureTest {
    private static final String[] ABOVE_TENSOR = {"dev.jotune.autograd..", "dev.jotune.models..", "dev.jotune.peft..", "dev.jotune.cli.."};
    private static JavaClasses all;

    @BeforeAll
    static void read() {
        all = new ClassFileImporter().withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                // Test support of the lower modules comes as jars of its own.
                .withImportOption(location -> !location.contains("-tests.jar") && !location.contains("/test-classes/"))
                .importPackages("dev.jotune");
        assertThat(all.size()).isGreaterThan(100);
    }

    @Test
    void arrowsPointOneWay() {
        layeredArchitecture().consideringOnlyDependenciesInLayers()
                .layer("tensor").definedBy("dev.jotune.tensor..", "dev.jotune.kernel..")
                .layer("autograd").definedBy("dev.jotune.autograd..")
                .layer("models").definedBy("dev.jotune.models..")
                .layer("peft").definedBy("dev.jotune.peft..")
                .layer("cli").definedBy("dev.jotune.cli..")
                .whereLayer("cli").mayNotBeAccessedByAnyLayer()
                .whereLayer("peft").mayOnlyBeAccessedByLayers("cli")
                .whereLayer("models").mayOnlyBeAccessedByLayers("peft", "cli")
                .whereLayer("autograd").mayOnlyBeAccessedByLayers("models", "peft", "cli")
                .check(all);
    }

    @Test
    void kernelsOfProcessorsKnowTensorAloneAndNobodyKnowsThem() {
        noClasses().that().resideInAPackage("dev.jotune.kernels..").should().dependOnClassesThat().resideInAnyPackage(ABOVE_TENSOR).check(all);
        noClasses().that(not(resideInAPackage("dev.jotune.kernels.."))).should().dependOnClassesThat()
                .resideInAPackage("dev.jotune.kernels..").because("extensions are found with ServiceLoader").check(all);
    }

    @Test
    void devicesKnowTensorAloneAndNobodyKnowsThem() {
        for (String[] device : new String[][] {{"dev.jotune.opencl..", "org.jocl.."}, {"dev.jotune.cuda..", "jcuda.."}}) {
            noClasses().that().resideInAPackage(device[0]).should().dependOnClassesThat().resideInAnyPackage(ABOVE_TENSOR).check(all);
            noClasses().that(not(resideInAPackage(device[0]))).should().dependOnClassesThat().resideInAnyPackage(device)
                    .because("backends are found with ServiceLoader").check(all);
        }
    }

    @Test
    void nothingAboveTensorNamesABackend() {
        noClasses().that().resideInAnyPackage(ABOVE_TENSOR).should().dependOnClassesThat().resideInAPackage("dev.jotune.tensor.cpu..")
                .because("backends are found with ServiceLoader").check(all);
    }

    @Test
    void onlyTheCpuBackendUsesTheVectorApi() {
        noClasses().that(not(resideInAPackage("dev.jotune.tensor.cpu.."))).should().dependOnClassesThat()
                .resideInAPackage("jdk.incubator.vector..").check(all);
    }

    @Test
    void aModelNeverKnowsAMethodsName() {
        noClasses().that().resideInAPackage("dev.jotune.models..").should().haveSimpleNameContaining("Lora")
                .orShould().haveSimpleNameContaining("Prefix").orShould().haveSimpleNameContaining("PromptTuning").check(all);
    }

    @Test
    void libraryModulesDoNotPrintOrExit() {
        noClasses().that(resideInAnyPackage(ABOVE_TENSOR).and(not(resideInAPackage("dev.jotune.cli.."))))
                .should().accessField(System.class, "out").orShould().accessField(System.class, "err")
                .orShould().callMethod(System.class, "exit", int.class).check(all);
    }

    @Test
    void methodsAreRecords() {
        classes().that().implement("dev.jotune.peft.TuningMethod").should().beRecords().check(all);
    }
}
